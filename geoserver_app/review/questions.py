"""Every figure of the review as a question in SQL over the audit: the views `audit` (a row a record) and `audit_layers` (a row a layer of one).

A question is printed beside its figure complete, with what it asks about in its first lines, and answers the same in `geoshare audit sql`. The
part `shown` holds the layers of records that the scope is about, `requests` the records themselves:

- an agreement: where it granted what was seen, or is among the reasons of a refusal. A record that several agreements granted is told with each;
- an agency: what its keys asked;
- everybody: all there is, for the coordination group alone.

`refusals` holds a row for every reason of a refusal; of an agreement, its own reasons alone. `bills` holds what was counted on its quota.

Only decisions on layers count as requests; lists (capabilities) and acts of people are asked about apart. Days are those of Asia/Shanghai.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from textwrap import dedent, indent
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a question is about: one agreement, one agency, or (neither) everybody; the days from `first` to `last`, both included."""

    first: date
    last: date
    agreement: str | None = None
    agency: str | None = None


def quoted(text: str) -> str:
    """A string of SQL.

    >>> quoted("AG'1")
    "'AG''1'"
    """
    return "'" + text.replace("'", "''") + "'"


def question_sql(name: str, scope: Scope) -> str:
    """The question of that name about `scope`, as it stands. Raises KeyError where there is none."""
    return with_scope(QUESTIONS[name], scope)


def with_scope(body: str, scope: Scope, **others: str) -> str:
    """A SELECT from `shown`, `requests`, `refusals`, `bills` and `others` (each a SELECT), complete: the parts it is from stand before it, and
    `asked` before all."""
    body = dedent(body).strip()
    parts = {"asked": _asked(scope), **{name: part for name, part in others.items() if _is_from(name, body)}}
    has_requests, has_refusals = _is_from("requests", body), _is_from("refusals", body)
    if _is_from("shown", body) or has_refusals or (has_requests and scope.agreement is not None):
        parts["shown"] = _shown(scope)
    if has_requests:
        parts["requests"] = _requests(scope)
    if has_refusals:
        parts["refusals"] = _refusals(scope)
    if _is_from("bills", body):
        parts["bills"] = _BILLS
    return "WITH " + ", ".join(f"{name} AS (\n{indent(part, '    ')}\n)" for name, part in parts.items()) + f"\n{body}"


def _is_from(name: str, body: str) -> bool:
    return re.search(rf"\b(FROM|JOIN) {name}\b", body) is not None


def _asked(scope: Scope) -> str:
    lines = [f"DATE '{scope.first.isoformat()}' AS from_day", f"DATE '{scope.last.isoformat()}' AS to_day"]
    if scope.agreement is not None:
        lines.insert(0, f"{quoted(scope.agreement)} AS agreement")
    elif scope.agency is not None:
        lines.insert(0, f"{quoted(scope.agency)} AS agency")
    return "SELECT " + ",\n       ".join(lines)


def _shown(scope: Scope) -> str:
    lines = ["SELECT audit_layers.* FROM audit_layers, asked", "WHERE day BETWEEN from_day AND to_day"]
    if scope.agreement is not None:
        lines += [
            "  AND list_contains(list_transform(list_filter(reasons, lambda one: effect = 'deny' OR one[4] = 'granted'), lambda one: one[1]),",
            "                    asked.agreement)",
        ]
    elif scope.agency is not None:
        lines.append("  AND audit_layers.agency = asked.agency")
    return "\n".join(lines)


def _requests(scope: Scope) -> str:
    lines = ["SELECT audit.* FROM audit, asked", "WHERE day BETWEEN from_day AND to_day AND effect IS NOT NULL"]
    if scope.agreement is not None:
        lines.append("  AND id IN (SELECT id FROM shown)")
    elif scope.agency is not None:
        lines.append("  AND audit.agency = asked.agency")
    return "\n".join(lines)


def _refusals(scope: Scope) -> str:
    """A row for every reason of a refusal; of an agreement, its own reasons alone: others may be about other parties."""
    lines = [
        "SELECT * EXCLUDE (agreement, version, clause, code),",
        "       one[1] AS agreement, CAST(one[2] AS INTEGER) AS version, one[3] AS clause, one[4] AS code",
        "FROM (SELECT *, unnest(reasons) AS one FROM shown WHERE effect = 'deny')",
    ]
    if scope.agreement is not None:
        lines.append("WHERE one[1] = (SELECT asked.agreement FROM asked)")
    return "\n".join(lines)


_BILLS = """\
SELECT id, day, strftime(day, '%Y-%m') AS month, CAST(charged AS MAP(VARCHAR, MAP(VARCHAR, BIGINT)))[asked.agreement] AS bill
FROM audit_layers, asked WHERE day BETWEEN from_day AND to_day AND charged IS NOT NULL"""
"""What was counted on the quota of the agreement: whoever asked, those under it included."""

_PARTS = {
    "<counts>": """\
coalesce(sum(bill['requests']), 0) AS requests, round(coalesce(sum(bill['pixels']), 0) / 1e6, 1) AS megapixels,
       coalesce(sum(bill['features']), 0) AS features, coalesce(sum(bill['bytes']), 0) AS bytes""",
    "<most>": "max(requests) AS requests, max(megapixels) AS megapixels, max(features) AS features, max(bytes) AS bytes",
    "<effects>": """\
count(*) FILTER (effect = 'permit') AS permitted, count(*) FILTER (effect = 'clip') AS clipped,
       count(*) FILTER (effect = 'deny') AS refused""",
    "<answers>": "count(*) FILTER (effect <> 'deny') AS answered, count(*) FILTER (effect = 'deny') AS refused",
    "<layer answers>": """\
count(DISTINCT id) FILTER (effect <> 'deny') AS answered,
       count(DISTINCT id) FILTER (effect = 'deny') AS refused""",
    "<refused percent>": "round(100.0 * count(*) FILTER (effect = 'deny') / nullif(count(*), 0), 1) AS refused_percent",
    "<share percent>": "round(100.0 * count(*) / sum(count(*)) OVER (), 1) AS share_percent",
}


def whole(body: str, parts: Mapping[str, str] = _PARTS) -> str:
    """A question with what its `<parts>` stand for, at the left margin."""
    body = dedent(body).strip()
    for name, part in parts.items():
        body = body.replace(name, part)
    return body


QUESTIONS = MappingProxyType({name: whole(body) for name, body in {
    # how much
    "totals": """
        SELECT count(*) AS requests, <effects>,
               <refused percent>,
               count(DISTINCT day) AS days_of_use, count(DISTINCT key) AS keys, count(DISTINCT agency) AS agencies
        FROM requests
    """,
    "by-day": """
        SELECT day, <answers>
        FROM requests GROUP BY day ORDER BY day
    """,
    "by-week": """
        SELECT CAST(date_trunc('week', day) AS DATE) AS week, <answers>
        FROM requests GROUP BY week ORDER BY week
    """,
    "by-month": """
        SELECT strftime(day, '%Y-%m') AS month, count(*) AS requests, <answers>, count(DISTINCT day) AS days_of_use
        FROM requests GROUP BY month ORDER BY month
    """,
    "by-operation": """
        SELECT operation, count(*) AS requests, <share percent>, <effects>
        FROM requests GROUP BY operation ORDER BY requests DESC, operation
    """,
    "by-layer": """
        SELECT layer, edition, count(DISTINCT id) AS requests, <layer answers>
        FROM shown GROUP BY layer, edition ORDER BY requests DESC, layer, edition
    """,
    "by-key": """
        SELECT key, app, count(*) AS requests, <answers>, count(DISTINCT day) AS days_of_use
        FROM requests GROUP BY key, app ORDER BY requests DESC, key
    """,
    "by-hour": """
        SELECT hour(requests.at) AS hour, count(*) AS requests
        FROM requests GROUP BY hour ORDER BY hour
    """,
    "busiest-days": """
        SELECT day, count(*) AS requests
        FROM requests GROUP BY day ORDER BY requests DESC, day LIMIT 5
    """,
    "places": """
        SELECT tms, tile[1] AS zoom, tile[2] AS tile_row, tile[3] AS tile_column, crs, bounds, count(*) AS requests
        FROM requests WHERE effect <> 'deny' AND (tile IS NOT NULL OR bounds IS NOT NULL)
        GROUP BY ALL ORDER BY ALL
    """,
    "placed": """
        SELECT count(*) AS requests
        FROM requests WHERE effect <> 'deny' AND (tile IS NOT NULL OR bounds IS NOT NULL)
    """,
    # downloads
    "downloads": """
        SELECT shown.at, key, string_agg(DISTINCT layer, ', ' ORDER BY layer) AS layers, any_value(effect) AS effect
        FROM shown WHERE operation = 'Download' GROUP BY id, shown.at, key ORDER BY shown.at, id LIMIT 40
    """,
    "downloads-total": """
        SELECT count(DISTINCT id) AS requests, count(DISTINCT id) FILTER (effect = 'deny') AS refused
        FROM shown WHERE operation = 'Download'
    """,
    # refusals
    "refusals-by-clause": """
        SELECT agreement, version, clause, code, count(DISTINCT id) AS requests
        FROM refusals GROUP BY ALL ORDER BY requests DESC, agreement, version, clause, code
    """,
    "refusals-most": """
        SELECT agreement, version, clause, code, count(DISTINCT id) AS requests
        FROM refusals GROUP BY ALL ORDER BY requests DESC, agreement, version, clause, code LIMIT 30
    """,
    "refusals-by-code": """
        SELECT code, count(DISTINCT id) AS requests
        FROM refusals GROUP BY code ORDER BY requests DESC, code
    """,
    "refusals-by-layer": """
        SELECT layer, edition, operation, count(DISTINCT id) AS requests
        FROM refusals GROUP BY layer, edition, operation ORDER BY requests DESC, layer, edition, operation LIMIT 20
    """,
    # quota
    "over-quota-by-day": """
        SELECT day, count(DISTINCT id) AS requests
        FROM refusals WHERE code = 'over-quota' GROUP BY day ORDER BY day
    """,
    "over-quota-total": """
        SELECT count(DISTINCT id) AS requests, count(DISTINCT day) AS days
        FROM refusals WHERE code = 'over-quota'
    """,
    "counted-by-month": """
        SELECT month, <counts>
        FROM bills GROUP BY month ORDER BY month
    """,
    "limits": """
        SELECT limits.measure, limits.span, limits.most, used, round(100.0 * used / nullif(most, 0), 1) AS used_percent
        FROM limits LEFT JOIN (
            UNPIVOT (
                SELECT 'day' AS span, <most> FROM (SELECT day, <counts> FROM bills GROUP BY day)
                UNION ALL
                SELECT 'month', <most> FROM (SELECT month, <counts> FROM bills GROUP BY month)
                UNION ALL
                SELECT 'term', <counts> FROM bills
            ) ON requests, megapixels, features, bytes INTO NAME measure VALUE used
        ) AS counted ON limits.measure = counted.measure AND limits.span = counted.span
        ORDER BY limits.measure, limits.span, limits.most
    """,
    # who, for the coordination group
    "by-agency": """
        SELECT agency, count(*) AS requests, <share percent>, <answers>,
               <refused percent>, count(DISTINCT day) AS days_of_use
        FROM requests GROUP BY agency ORDER BY requests DESC, agency
    """,
    "by-agreement": """
        SELECT agreement, count(DISTINCT id) AS requests, <layer answers>
        FROM shown WHERE agreement IS NOT NULL GROUP BY agreement ORDER BY requests DESC, agreement
    """,
    # what people did
    "acts": """
        SELECT audit.at, event, operation, actor, object, outcome
        FROM audit, asked WHERE day BETWEEN from_day AND to_day AND effect IS NULL AND event <> 'overlay.listed'
        ORDER BY audit.at, id LIMIT 200
    """,
    "acts-by-operation": """
        SELECT coalesce(operation, event) AS act, outcome, count(*) AS acts
        FROM audit, asked WHERE day BETWEEN from_day AND to_day AND effect IS NULL AND event <> 'overlay.listed'
        GROUP BY ALL ORDER BY acts DESC, act, outcome
    """,
    "acts-on-agreement": """
        SELECT audit.at, event, operation, outcome
        FROM audit, asked WHERE day BETWEEN from_day AND to_day AND effect IS NULL
          AND (audit.agreement = asked.agreement OR object IN (SELECT objects.object FROM objects))
        ORDER BY audit.at, id LIMIT 200
    """,
}.items()})
"""By name. `shown`, `requests`, `refusals` and `asked` are put before each by `with_scope`."""
