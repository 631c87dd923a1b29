"""The fast lane: a bare WSGI callable before Flask, for tiles that are already in the cache.

key -> compiled decision -> file -> socket. A compiled decision is `Gate.decide` for one tile row, remembered until the register, the catalogue or
the calendar could change it; the tile's place (inside, edge, outside) comes from the area's quadtree. Inside tiles leave as the cache holds them;
an outside tile is one constant that touches neither cache nor source; edge tiles, marked and composed ones are made on a copy, kept in memory here.
Whatever is not a plain hit - a miss, a refusal, a malformed address - goes on to Flask, where `TileServer.answer` is the same code.
"""

import hashlib
import json
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from urllib.parse import parse_qsl

from PIL import Image

from agreements.model import Decision, Effect, Operation
from geoserver_app.charging import ONE_REQUEST, SOME_FEATURES, SOME_PICTURE, Tally, Turn, opaque_part
from geoserver_app.decision_log import DecisionLog, DecisionLogUnavailable, as_members
from geoserver_app.gate import Asked, Gate, NotTrusted, Refused, Ruling, Standing, asker_event, layer_event, refusal
from geoserver_app.identity import (
    Caller,
    Unidentified,
    client_address,
    cross_origin_headers,
    may_revalidate,
    preflight,
    presented_key,
    strip_path_key,
)
from geoserver_app.metering.book import Bill
from geoserver_app.metering.headers import Headers
from geoserver_app.metering.ledger import MeteringUnavailable
from geoserver_app.metering.terms import NOTHING, Amounts
from layers.crs import ground_resolution
from layers.errors import FeaturesUnavailable
from layers.model import ENCODINGS, VECTOR_TILE, Edition, Source
from tiles.area import TileClass
from tiles.border import Borders
from tiles.compose import composed, composed_parts, shown
from tiles.encode import JPEG, blank, decode, encode
from tiles.engine import Engine, StoredTile
from tiles.errors import RenderFailed, RequestInvalid
from tiles.permits import Booking, Permit, PermitPart
from tiles.requests import GetTile, fault, parse_tile_path
from tiles.variants import Variant, drawn_style
from tiles.vector.encoder import count_features
from tiles.vector.grid import TileGrid
from tiles.vector.mvt import Plan
from tiles.vector.shelf import TileShelf

BODIES_BYTES = 64 << 20
RULES_KEPT = 100_000
ADDRESSES_KEPT = 20_000
COUNTS_KEPT = 100_000

TILE_HEADERS = (
    ("Cache-Control", "private, max-age=1, must-revalidate"),          # no longer than a revocation may take (design R6)
    ("Vary", "Authorization, X-API-Key, Origin"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Content-Security-Policy", "default-src 'none'"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
"""All that Flask would add: who got a tile can't tell whether it was drawn for him or lay there."""

VECTOR_HEADERS = tuple((name, f"{value}, Accept-Encoding" if name == "Vary" else value) for name, value in TILE_HEADERS)


Places = Sequence[tuple[PermitPart, TileClass]]
"""Parts of a permit that a tile touches, and whether it lies inside them or on their edge."""


@dataclass(frozen=True, slots=True)
class TileRule:
    """A decision that holds for one row of tiles until `until` (POSIX seconds)."""

    edition: Edition | None
    permit: Permit | None
    decision: Decision
    event: str                           # members of the record, as JSON text: all but the key and the column
    until: float
    resolution: float                    # metres on the ground a pixel
    plan: Plan | None = None             # of tiles of vectors: the permit as they need it


@dataclass(frozen=True, slots=True)
class TileAnswer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes


@dataclass(frozen=True, slots=True)
class _Body:
    data: bytes
    etag: str
    is_deflated: bool = False

    @classmethod
    def of(cls, data: bytes, is_deflated: bool = False) -> "_Body":
        """The ETag is a digest of the very bytes: equal answers share it, and nothing but the answer can be read from it."""
        return cls(data, f'"{hashlib.sha256(data).hexdigest()[:24]}"', is_deflated)


class TileServer:
    """Tiles for callers: decides, records, cuts. Never renders without a permit, never writes to the shared cache."""

    def __init__(self, gate: Gate, engine: Engine, log: DecisionLog, shelf: TileShelf | None = None, borders: Borders | None = None):
        self.gate, self.engine, self.log, self.shelf, self.borders = gate, engine, log, shelf, borders or Borders(engine)
        self._bodies = _Bodies(BODIES_BYTES)
        self._counts: dict[tuple, int] = {}

    def answer(
        self, caller: Caller, tile: GetTile, if_none_match: str = "", *, render: bool = True, sends_body: bool = True, deflates: bool = False,
    ) -> TileAnswer | None:
        """The tile as this caller may see it, counted on the quotas that hold it. `deflates`: the client takes gzip, in which vectors are kept.

        With `render` False only what is at hand is answered, and None stands for everything else, refusals too; nothing is recorded then.

        Raises
        ------
        Refused
            No whole grant allows it (recorded); OverQuota where one would.
        NotTrusted, DecisionLogUnavailable, MeteringUnavailable, RenderFailed
            Nothing may be, or can be, served now.
        """
        standing, now = self.gate.standing(), self.gate.clock()
        rule = self._rule(standing, caller, tile, now)
        if tile.is_vector and rule.permit is not None and not has_vectors(rule.edition):
            if not render:
                return None
            self._record(rule, caller, tile, now)
            raise fault("InvalidFormat", "FORMAT", "not-offered", value=tile.media_type, choices="image/png, image/jpeg, image/webp")
        if rule.permit is not None and rule.permit.bookings:
            return self._counted(standing, caller, tile, now, rule, if_none_match, render, sends_body, deflates)
        if rule.decision.effect is Effect.DENY:
            if not render:
                return None
            record_id = self._record(rule, caller, tile, now)
            raise Refused([(tile.layer, rule.decision)], record_id)
        body = self._body(rule, tile, render, deflates)
        if body is None:
            return None
        self._record(rule, caller, tile, now)
        return _answer(body, tile.media_type, if_none_match)

    def _counted(
        self, standing: Standing, caller: Caller, tile: GetTile, now: datetime, rule: TileRule, if_none_match: str, render: bool, sends_body: bool,
        deflates: bool,
    ) -> TileAnswer | None:
        """`answer` where quotas are to hold it: a tile at hand is counted in one step, another as `Gate.serve` does it."""
        turn = Turn(self.gate.meter)
        while True:
            if turn.exhausted:
                rule = self._rule(standing, caller, tile, now, turn.exhausted)
            if rule.decision.effect is Effect.DENY:
                if not render:
                    return None
                raise refusal([(tile.layer, rule.decision)], self._record(rule, caller, tile, now), turn, now)
            turn.note(rule.decision)
            body = self._body(rule, tile, False, deflates)
            if body is None:
                if not render:
                    return None
                if not turn.admit([Bill(one.account, ONE_REQUEST, _least(tile), True) for one in _touched(rule, tile)], now):
                    continue
                body = self._body(rule, tile, True, deflates)
            if body is _blank_tile(tile.media_type):
                if turn.exhausted and (denied := self._left(standing, caller, tile, now, turn)) is not None:
                    if not render:
                        return None
                    raise refusal([(tile.layer, denied.decision)], self._record(denied, caller, tile, now), turn, now)
                self._record(rule, caller, tile, now)
                return _answer(body, tile.media_type, if_none_match)
            is_sent = sends_body and not _matches(body, if_none_match)
            bills = [self._bill(rule, tile, body, booking, turn, is_sent) for booking in _touched(rule, tile)]
            if turn.settle(bills, now):
                self._record(rule, caller, tile, now, _charged(bills))
                return _answer(body, tile.media_type, if_none_match, turn.headers)

    def _left(self, standing: Standing, caller: Caller, tile: GetTile, now: datetime, turn: Turn) -> TileRule | None:
        """The denial of a tile of which the agreements that are not exhausted grant nothing; None where it is as empty without that."""
        asked = _asked(tile)
        ruling = self.gate.left(standing, caller, asked, self.gate.decide(standing, caller, asked, now, turn.exhausted), turn)
        return self._as_rule(standing, caller, tile, asked, ruling) if ruling.is_denied else None

    def _bill(self, rule: TileRule, tile: GetTile, body: _Body, booking: Booking, turn: Turn, is_sent: bool) -> Bill:
        account = booking.account
        is_new = account.agreement_id not in turn.admitted
        least = _least(tile) if is_new else NOTHING
        if not is_sent:
            return Bill(account, (int(is_new), 0, 0, 0), least, is_new)
        seen = ()
        if account.terms.ground:
            place = (tile.tms.id, tile.z, tile.row, tile.col)
            seen = (self.gate.grounds.seen(booking, rule.edition, place, rule.resolution, lambda: tile.view),)
        pixels, features = (0, self._features(body)) if tile.is_vector else (self._pixels(rule, tile, body, booking), 0)
        return Bill(account, (int(is_new), pixels, features, len(body.data)), least, is_new, seen)

    def _features(self, body: _Body) -> int:
        """Features of a tile of vectors; remembered, since it takes reading it."""
        count = self._counts.get((body.etag,))
        if count is None:
            count = count_features(self.shelf.inflated(body.data) if body.is_deflated else body.data)
            self._remember((body.etag,), count)
        return count

    def _remember(self, key: tuple, count: int) -> None:
        if len(self._counts) >= COUNTS_KEPT:
            self._counts.clear()
        self._counts[key] = count

    def _pixels(self, rule: TileRule, tile: GetTile, body: _Body, booking: Booking) -> int:
        """Pixels of the tile that show something of what is booked; remembered, since it takes decoding."""
        key = (body.etag, booking.area and booking.area.digest, tile.tms.id, tile.z, tile.row, tile.col)
        count = self._counts.get(key)
        if count is None:
            within = rule.permit.area if tile.media_type == JPEG else None          # where nothing is shown a JPEG is white
            opaque = True if within is None else within.mask(tile.view)
            if tile.media_type != JPEG:
                opaque = opaque_part(decode(body.data))
            count = Tally(view=tile.view, opaque=None if opaque is True else opaque).pixels(booking.area)
            self._remember(key, count)
        return count

    def _rule(self, standing: Standing, caller: Caller, tile: GetTile, now: datetime, exhausted: frozenset[str] = frozenset()) -> TileRule:
        key = (caller.terms, tile.layer, tile.style, tile.tms.id, tile.media_type, tile.z, tile.row, exhausted)
        rule = standing.tile_rules.get(key)
        if rule is None or now.timestamp() >= rule.until:
            rule = self._compile(standing, caller, tile, now, exhausted)
            if len(standing.tile_rules) >= RULES_KEPT:
                standing.tile_rules.clear()
            standing.tile_rules[key] = rule
        return rule

    def _compile(self, standing: Standing, caller: Caller, tile: GetTile, now: datetime, exhausted: frozenset[str]) -> TileRule:
        asked = _asked(tile)
        return self._as_rule(standing, caller, tile, asked, self.gate.decide(standing, caller, asked, now, exhausted))

    def _as_rule(self, standing: Standing, caller: Caller, tile: GetTile, asked: Asked, ruling: Ruling) -> TileRule:
        edition, decision = ruling.edition, ruling.decision
        permit = None if ruling.is_denied else self.gate.permit(caller, ruling)
        if permit is not None and tile.style in ENCODINGS:
            permit = permit.without_marks()
        event = {
            "event": "overlay.decided", "agency": caller.agency.agency_id, "epoch": standing.register.epoch, **asker_event(caller),
            **layer_event(asked, ruling), "tms": tile.tms.id,
        }
        until = decision.holds_until.timestamp() if decision.holds_until else float("inf")
        plan = Plan.of(permit) if permit is not None and tile.is_vector else None
        return TileRule(edition, permit, decision, as_members(event), until, ground_resolution(tile.view), plan)

    def _record(self, rule: TileRule, caller: Caller, tile: GetTile, at: datetime, charged: str = "") -> str:
        return self.log.write_members(f'{rule.event},"key":"{caller.key_id}","tile":[{tile.z},{tile.row},{tile.col}]{charged}', at.timestamp())

    def _body(self, rule: TileRule, tile: GetTile, render: bool, deflates: bool) -> _Body | None:
        if tile.is_vector:
            return self._vectors(rule, tile, render, deflates)
        edition, permit = rule.edition, rule.permit
        if len(permit.parts) == 1:                       # nearly every permit: nothing is made that a tile at hand does not need
            (part,) = permit.parts
            place = part.place_of(tile.tms, tile.z, tile.row, tile.col)
            places = ((part, place),) if place != "outside" else ()
            near = self._near(edition, tile, places)
            shows = (part.inside if place == "inside" else part.edge) if not near else (part.edge, "near")
        else:
            places = _places(permit.parts, tile)
            near = self._near(edition, tile, places)
            shows = tuple((part.inside if place == "inside" else part.edge) if part not in near else (part.edge, "near") for part, place in places)
        if not places or self.engine.is_beyond(edition, tile.tms.id, tile.z, tile.row, tile.col):
            return _blank_tile(tile.media_type)
        style = drawn_style(self.engine.style(edition, permit.style), is_strict=permit.is_strict)
        key = (edition.edition_id, edition.generation, style, tile.tms.id, tile.z, tile.row, tile.col, tile.media_type, shows)
        if (body := self._bodies.get(key)) is not None:
            return body
        data = self._drawn_near(rule, tile, style, places, near, render) if near else self._drawn(rule, tile, style, places, render)
        if data is None:
            return None
        body = _Body.of(data)
        if self.engine.is_kept(edition):
            self._bodies.put(key, body)
        return body

    def _vectors(self, rule: TileRule, tile: GetTile, render: bool, deflates: bool) -> _Body | None:
        """Inside, the bytes of the shared cache; at the border a tile that is made of what may be told, and kept in memory alone."""
        edition = rule.edition
        grid = TileGrid(tile.tms, tile.z, tile.row, tile.col)
        place = rule.plan.place(grid)
        if place.key is None or self.engine.is_beyond(edition, tile.tms.id, tile.z, tile.row, tile.col):
            return _blank_tile(tile.media_type)
        key = (edition.edition_id, edition.generation, tile.tms.id, tile.z, tile.row, tile.col, place.inside is None, place.key, deflates)
        if (body := self._bodies.get(key)) is not None:
            return body
        if place.inside is None:
            data = self.shelf.deflated(rule.plan.cut(self.shelf, grid)) if render else None
        else:
            data = self.shelf.tile(edition, place.inside, grid) if render else self.shelf.stored(edition, place.inside, grid)
        if data is None:
            return None
        plain = self.shelf.inflated(data)
        body = _Body.of(data, True) if plain and deflates else _Body.of(plain) if plain else _blank_tile(tile.media_type)
        if self.engine.is_kept(edition):
            self._bodies.put(key, body)
        return body

    def _drawn(self, rule: TileRule, tile: GetTile, style: str, places: Places, render: bool) -> bytes | None:
        """The tile as it leaves: the cache's own bytes where one part without a mark holds all of it; else its parts cut, marked and composed."""
        stored = {part.variant: self._master(rule, tile, style, part.variant, render) for part, _ in places}
        if None in stored.values():
            return None
        (part, place), *others = places
        whole = stored[part.variant]
        if not others and place == "inside" and part.mark is None:
            if whole.media_type == tile.media_type:
                return whole.data
            picture = decode(whole.data)
        else:
            picture = composed(shown([one for one, _ in places], tile.view), tile.view, lambda variant: decode(stored[variant].data))
        return blank(tile.media_type, 256, 256) if picture is None else encode(picture, tile.media_type, lossless=rule.edition.lossless)

    def _near(self, edition: Edition, tile: GetTile, places: Places) -> tuple[PermitPart, ...]:
        """The parts in whose picture of all one could see something beyond the border: of line maps alone."""
        if edition.product.is_raster:
            return ()
        return tuple(part for part, _ in places if self.borders.is_tile_near(edition, part, tile.tms, tile.z, tile.row, tile.col))

    def _drawn_near(self, rule: TileRule, tile: GetTile, style: str, places: Places, near: tuple[PermitPart, ...], render: bool) -> bytes | None:
        """The tile as it leaves, where some parts are drawn from cut features: it takes drawing, so none is at hand."""
        if not render:
            return None

        def draw(part: PermitPart) -> Image.Image:
            if part in near:
                return self.borders.tile(rule.edition, style, tile.tms, tile.z, tile.row, tile.col, part, rule.permit)
            return decode(self._master(rule, tile, style, part.variant, render).data)

        picture = composed_parts(shown([one for one, _ in places], tile.view), tile.view, draw)
        return blank(tile.media_type, 256, 256) if picture is None else encode(picture, tile.media_type, lossless=rule.edition.lossless)

    def _master(self, rule: TileRule, tile: GetTile, style: str, variant: Variant, render: bool) -> StoredTile | None:
        """The whole, unclipped tile of the shared cache."""
        draw = self.engine.tile if render else self.engine.stored_tile
        return draw(rule.edition, style, tile.tms.id, tile.z, tile.row, tile.col, rule.permit, variant)


def has_vectors(edition: Edition) -> bool:
    """Whether there are features to tell: not of imagery, nor of what another service draws."""
    return not edition.product.is_raster and edition.source is not Source.REMOTE


def _places(parts: tuple[PermitPart, ...], tile: GetTile) -> Places:
    """The parts that the tile touches, from the bottom up, less those hidden wholly by one above; and whether it lies inside or on the edge."""
    found: list[tuple[PermitPart, TileClass]] = []
    for part in parts:
        place = part.place_of(tile.tms, tile.z, tile.row, tile.col)
        if place == "inside" and found:
            found = [(below, where) for below, where in found if not part.replaces(below)]
        if place != "outside":
            found.append((part, place))
    return found


class _Bodies:
    """Tiles as they leave, whole, cut or re-encoded, with their ETags; the least used forgotten first. Keys hold the edition's generation and the area's digest."""

    def __init__(self, most_bytes: int):
        self._most, self._bytes = most_bytes, 0
        self._bodies: OrderedDict[tuple, _Body] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple) -> _Body | None:
        with self._lock:
            body = self._bodies.get(key)
            if body is not None:
                self._bodies.move_to_end(key)
            return body

    def put(self, key: tuple, body: _Body) -> None:
        with self._lock:
            before = self._bodies.pop(key, None)
            self._bytes += len(body.data) - (len(before.data) if before else 0)
            self._bodies[key] = body
            while self._bytes > self._most and self._bodies:
                self._bytes -= len(self._bodies.popitem(last=False)[1].data)


@lru_cache(maxsize=ADDRESSES_KEPT)
def _parsed(path: str, query: str) -> GetTile | None:
    return parse_tile_path(path, parse_qsl(query, keep_blank_values=True) if query else ())


@lru_cache(maxsize=8)
def _blank_tile(media_type: str) -> _Body:
    return _Body.of(b"" if media_type == VECTOR_TILE else blank(media_type, 256, 256))


def _least(tile: GetTile) -> Amounts:
    """What must be left of a quota before the tile is made."""
    return SOME_FEATURES if tile.is_vector else SOME_PICTURE


def _asked(tile: GetTile) -> Asked:
    return Asked(
        layer=tile.layer, operation=Operation.GET_TILE, view=tile.view, style=tile.style, format=tile.media_type, crs=tile.tms.crs,
    )


def _touched(rule: TileRule, tile: GetTile) -> list[Booking]:
    """What the tile has anything to do with, of all that is booked; it is known to lie within the permit's area."""
    whole = rule.permit.area
    return [
        one for one in rule.permit.bookings if one.area is whole or one.area.classify(tile.tms, tile.z, tile.row, tile.col) != "outside"
    ]


def _charged(bills: list[Bill]) -> str:
    """What was counted, as a member of the record: JSON text."""
    counted = (
        CHARGED % (_quoted(bill.account.agreement_id), *(("features", bill.amounts[2]) if bill.amounts[2] else ("pixels", bill.amounts[1])), bill.amounts[3])
        for bill in bills
    )
    return f',"charged":{{{",".join(counted)}}}'


CHARGED = '%s:{"requests":1,"%s":%d,"bytes":%d}'


@lru_cache(maxsize=4096)
def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _matches(body: _Body, if_none_match: str) -> bool:
    return bool(if_none_match) and body.etag in if_none_match


def _answer(body: _Body, media_type: str, if_none_match: str, quota: Headers | tuple = ()) -> TileAnswer:
    headers = [("Content-Type", media_type), ("ETag", body.etag), *(VECTOR_HEADERS if media_type == VECTOR_TILE else TILE_HEADERS), *quota]
    if _matches(body, if_none_match):
        return TileAnswer(304, headers, b"")
    if media_type == VECTOR_TILE and not body.data:
        return TileAnswer(204, headers[1:], b"")             # where nothing is, and where nothing is granted
    if body.is_deflated:
        headers.append(("Content-Encoding", "gzip"))
    return TileAnswer(200, [*headers, ("Content-Length", str(len(body.data)))], body.data)


@lru_cache(maxsize=256)
def takes_gzip(accepted: str) -> bool:
    """Whether an Accept-Encoding lets gzip be sent (RFC 9110, 12.5.3).

    >>> takes_gzip("gzip, deflate, br"), takes_gzip("gzip;q=0, br"), takes_gzip(""), takes_gzip("*")
    (True, False, False, False)
    """
    for one in accepted.lower().split(","):
        coding, _, weight = (part.strip() for part in one.partition(";"))
        if coding == "gzip":
            return not re.fullmatch(r"q=0(\.0{0,3})?", weight)
    return False


STATUS_LINES = {200: "200 OK", 204: "204 No Content", 304: "304 Not Modified"}

MAP_PATHS = ("/tiles/", "/wmts/1.0.0/")
KEYED_PATHS = ("/ows", "/wms", "/wmts", "/wcs", "/wfs", "/features", "/features/collections", "/height", "/profile", "/api/v1/layers", "/sheets", "/lineage")
KEYED_FOLDERS = (*MAP_PATHS, "/download/", "/packages/", "/sheets/", "/layers/", "/styles/", "/live/", "/features/collections/", "/routes/", "/gauges/")
"""Where keys are taken: what pages of other origins may ask for at all."""


class Lane:
    """WSGI: tiles at hand are answered here, everything else by `app`."""

    def __init__(self, app: Callable, tiles: TileServer):
        self.app, self.tiles = app, tiles

    def __call__(self, environ: dict, start_response: Callable) -> Iterable[bytes]:
        environ = strip_path_key(environ)
        match environ.get("REQUEST_METHOD"):
            case "GET" | "HEAD":
                answer = self._hit(environ)
            case "OPTIONS":
                answer = self._preflight(environ)
            case _:
                answer = None
        if answer is None:
            return self.app(environ, start_response)
        start_response(STATUS_LINES[answer.status], answer.headers)
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else answer.body]

    def _hit(self, environ: dict) -> TileAnswer | None:
        path = environ["PATH_INFO"]
        if not path.startswith(MAP_PATHS):
            return None
        try:
            tile = _parsed(path, environ.get("QUERY_STRING") or "")
            if tile is None:
                return None
            caller = self.tiles.gate.identify(presented_key(environ), client_address(environ, self.tiles.gate.trusted_proxies))
            sends_body, origin = environ["REQUEST_METHOD"] != "HEAD", environ.get("HTTP_ORIGIN", "")
            known = environ.get("HTTP_IF_NONE_MATCH", "") if may_revalidate(caller, origin) else ""
            deflates = tile.is_vector and takes_gzip(environ.get("HTTP_ACCEPT_ENCODING", ""))
            answer = self.tiles.answer(caller, tile, known, render=False, sends_body=sends_body, deflates=deflates)
            return answer and _shared(answer, cross_origin_headers(caller, origin))
        except (RequestInvalid, Unidentified, NotTrusted, DecisionLogUnavailable, MeteringUnavailable, RenderFailed, FeaturesUnavailable):
            return None                                     # Flask meets the same fault and puts it into words

    def _preflight(self, environ: dict) -> TileAnswer | None:
        """What a browser asks before a script of another origin may send a key; None, and so 405, where no key names that origin."""
        if not environ["PATH_INFO"].startswith(KEYED_FOLDERS) and environ["PATH_INFO"] not in KEYED_PATHS:
            return None
        gate = self.tiles.gate
        try:
            headers = preflight(environ, gate.standing().register, gate.clock())
            if headers is not None:
                gate.log.write({"event": "overlay.preflight", "operation": "OPTIONS", "origin": headers["Access-Control-Allow-Origin"]})
        except (NotTrusted, DecisionLogUnavailable):
            return None
        return None if headers is None else TileAnswer(204, [*headers.items(), *PREFLIGHT_SAFETY], b"")


PREFLIGHT_SAFETY = [header for header in TILE_HEADERS if header[0] not in ("Vary", "Cache-Control")]


def _shared(answer: TileAnswer, headers: dict[str, str]) -> TileAnswer:
    return replace(answer, headers=[*(one for one in answer.headers if one[0] not in headers), *headers.items()]) if headers else answer
