"""The next version of an agreement that renews itself: the same for another period. A draft; two people still put it in force."""

from dataclasses import replace
from datetime import datetime

from agreements.life.ledger import cadence_of
from agreements.model import Agreement, State, Term


def renewed(agreement: Agreement, version: int) -> Agreement:
    """`agreement` for another of its periods, beginning when it ends, as draft `version`: not signed yet, and without what was suspended for a while.

    Raises
    ------
    ValueError
        It has no end, or its period is none.
    """
    end = agreement.term.end
    if end is None:
        raise ValueError(f"agreement `{agreement.agreement_id}` has no end: there is nothing to renew")
    record = agreement.record
    return replace(
        agreement, version=version, state=State.DRAFT, replaced=None, term=Term(start=end, end=_after(end, record.renewal.period)),
        suspensions=tuple(one for one in agreement.suspensions if one.until is None or one.until > end),
        record=replace(record, parties=tuple(replace(party, signed=None) for party in record.parties)),
    )


def _after(end: datetime, period: str) -> datetime:
    """One ISO 8601 period later, at the same time of day in Asia/Shanghai."""
    return datetime.combine(cadence_of(period).after(end.date(), 1), end.timetz())
