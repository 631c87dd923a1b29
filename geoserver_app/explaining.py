"""Why a request is permitted, clipped or denied, in words: the very decision of the gate, with its reasons spelled out.

`explain` asks of now, or of any moment; `explain_record` takes a record of the past, decides again by the register as it was then, and says
whether the two agree.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import shapely

from agreements.decision import decide
from agreements.errors import AgencyNotDefined
from agreements.model import BUREAU, Agency, Decision, Effect, Operation, OverlayRequest, Reason, RegisterSnapshot
from agreements.register import AgreementRegister
from agreements.terms import sentence
from geoserver_app.audit.sealing import read_record
from geoserver_app.clock import SHANGHAI, in_shanghai, now
from geoserver_app.gate import DRAWN, UNKNOWN, Asked, Gate, Standing
from geoserver_app.identity import Caller, Carriage, Presented, networks_of
from layers.catalogue import Catalogue
from layers.crs import parse_crs
from layers.errors import LayerNotDefined
from layers.model import Edition, LayerName, picture_styles


class QuestionInvalid(ValueError):
    """The question can't be read; one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    request: OverlayRequest
    decision: Decision
    language: str

    @property
    def effect(self) -> Effect:
        return self.decision.effect

    def as_text(self) -> str:
        return _worded(self.decision, self.language)

    def as_json(self) -> dict:
        return {
            "effect": self.effect.value, "agency": self.request.agency, "layer": f"{self.request.layer}@{self.request.edition}",
            "operation": self.request.operation.value, "at": self.request.at.isoformat(),
            "reasons": [_reason(reason, self.language) for reason in self.decision.reasons],
            "holds_until": self.decision.holds_until.isoformat() if self.decision.holds_until else None,
        }


def _worded(decision: Decision, language: str) -> str:
    lines = [sentence(reason, language) for reason in decision.reasons]
    return "\n".join([f"{decision.effect.value.upper():7} {lines[0] if lines else ''}", *(f"        {line}" for line in lines[1:])])


def _reason(reason: Reason, language: str) -> dict:
    return {
        "code": reason.code, "agreement": reason.agreement_id, "version": reason.version, "clause": reason.clause, "sentence": sentence(reason, language),
    }


# -- now, or at any moment

def explain(
    catalogue: Catalogue, register: AgreementRegister, *, agency: str, layer: str, operation: Operation, bounds: str | None = None,
    scale: float | None = None, style: str | None = None, media_type: str | None = None, crs: str | None = None,
    attributes: frozenset[str] = frozenset(), app: str = "", purpose: str = "", address: str = "", at: datetime | None = None, language: str = "en",
    names_written: Callable[[Edition, str], frozenset[str]] = lambda _edition, _style: frozenset(),
) -> Explanation:
    """The decision for one layer with all its reasons.

    Parameters
    ----------
    app, purpose
        Those of the key it would be asked with.
    address
        Where it would be asked from.
    at : datetime, optional
        Of the past it is asked what was in the register then.
    names_written
        The attributes that a style writes on the map: `tiles.engine.Engine.names_written`.

    Raises
    ------
    LayerNotDefined
        The layer is not in the catalogue. (Only the bureau explains, so it may know.)
    AgencyNotDefined, CrsNotServed
        There is no such agency; the service has no such CRS.
    QuestionInvalid
        `bounds` can't be read.
    ValueError
        `layer` is not the name of a layer.
    """
    moment = in_shanghai(at) if at else now()
    held = register.as_of(moment) if moment < now() else register.snapshot()
    if agency not in held.agencies and agency != BUREAU:
        raise AgencyNotDefined(agency)
    found = catalogue.snapshot()
    name = LayerName.parse(layer)
    if (entry := found.find(name)) is None:
        raise LayerNotDefined(layer)
    caller = Caller(
        agency=held.agencies.get(agency) or Agency(agency_id=agency, name_zh="", name_en=""), key_id="", base_url="", app=app, purpose=purpose,
        presented=Presented(secret="", carriage=Carriage.HEADER), networks=networks_of(address, held.networks.get(agency, frozenset())),
    )
    asked = Asked(layer=name, operation=operation, format=media_type, crs=parse_crs(crs) if crs else None, attributes=attributes)
    styles = picture_styles(entry[0].product) if style is None and operation in DRAWN else (style,)
    gate = Gate(register, catalogue, None, base_url="", names_written=names_written)
    standing, extent = Standing(held, found, 0.0), _extent(bounds)
    told = [_told(gate, standing, caller, replace(asked, style=one), moment, scale, extent, language) for one in styles]
    return next((one for one in told if one.effect is not Effect.DENY), told[0])


def _told(gate: Gate, standing: Standing, caller: Caller, asked: Asked, at: datetime, scale, extent, language: str) -> Explanation:
    """The gate settles which edition is meant and what a style names; the place and the scale are the question's own."""
    request = replace(gate.decide(standing, caller, asked, at).request, scale_denominator=scale, extent=extent)
    decision = decide(request, standing.register.agreements.get(caller.agency.agency_id, ()))
    return Explanation(request=request, decision=decision, language=language)


def _extent(bounds: str | None) -> shapely.Polygon | None:
    if bounds is None:
        return None
    try:
        west, south, east, north = (float(part) for part in bounds.split(","))
    except ValueError:
        raise QuestionInvalid(f"--bounds must be west,south,east,north in degrees, got `{bounds}`") from None
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise QuestionInvalid(f"--bounds `{bounds}` is no box on the globe: west before east, south before north, in degrees")
    return shapely.box(west, south, east, north)


# -- the past

@dataclass(frozen=True, slots=True, kw_only=True)
class LayerOfRecord:
    """One layer of a record: what was decided, as it was written, and what is decided again."""

    layer: str                                   # "dom@2011"
    effect: str
    reasons: tuple[tuple, ...]                   # agreement, version, clause, code
    decision: Decision                           # again

    @property
    def differences(self) -> tuple[str, ...]:
        """Sentences; none where both say the same."""
        again = tuple((r.agreement_id, r.version, r.clause, r.code) for r in self.decision.reasons)
        said = []
        if self.decision.effect.value != self.effect:
            said.append(f"{self.effect} was recorded, and it is {self.decision.effect.value} by the register as it was")
        if again != self.reasons:
            said.append(f"the reasons recorded were {_listed(self.reasons)}, and by the register as it was they are {_listed(again)}")
        return tuple(said)


def _listed(reasons: Sequence[tuple]) -> str:
    return "; ".join(" ".join(str(part) for part in reason if part is not None) for reason in reasons) or "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class PastExplanation:
    """A record explained. `layers` is empty where nothing was decided: a list was given, an act was recorded, nobody was known."""

    record: dict
    layers: tuple[LayerOfRecord, ...]
    language: str

    @property
    def effect(self) -> Effect | None:
        effects = {layer.effect for layer in self.layers}
        return next((effect for effect in (Effect.DENY, Effect.CLIP, Effect.PERMIT) if effect.value in effects), None)

    @property
    def agrees(self) -> bool:
        return not any(layer.differences for layer in self.layers)

    def as_text(self) -> str:
        record = self.record
        who = " ".join(str(record[name]) for name in ("agency", "key", "actor") if record.get(name)) or "nobody known"
        lines = [f"{record['id']}  {record['at']}  {who}  {record.get('operation') or record['event']}"]
        for layer in self.layers:
            lines += [layer.layer, *(f"  {line}" for line in _worded(layer.decision, self.language).splitlines())]
            lines += [f"  DIFFERS: {one}" for one in layer.differences] or ["  as recorded"]
        if not self.layers:
            told = {name: value for name, value in record.items() if name in ("code", "listed", "object", "outcome", "status")}
            lines.append(f"  nothing was decided about a layer: {', '.join(f'{name} {value}' for name, value in told.items()) or record['event']}")
        return "\n".join(lines)

    def as_json(self) -> dict:
        return {
            "record": self.record["id"], "at": self.record["at"], "event": self.record["event"], "agency": self.record.get("agency"),
            "operation": self.record.get("operation"), "effect": self.effect and self.effect.value, "agrees": self.agrees,
            "layers": [
                {
                    "layer": layer.layer, "recorded": layer.effect, "effect": layer.decision.effect.value,
                    "reasons": [_reason(reason, self.language) for reason in layer.decision.reasons], "differences": list(layer.differences),
                } for layer in self.layers
            ],
        }


def explain_record(folder: Path, register: AgreementRegister, record_id: str, language: str = "en") -> PastExplanation:
    """What was decided in a record, and the same decision taken again by the register as it was when the worker decided.

    All that the decision depended on beside the register stands in the record: also which quotas were spent.

    Raises
    ------
    RecordNotFound
        There is no such record.
    RecordAltered
        It is not what was written.
    RegisterUnavailable
        The register can't be read.
    """
    record = read_record(folder, record_id)
    written = record.get("layers") if isinstance(record.get("layers"), list) else [record] if "layer" in record else []
    snapshot = register.as_of(epoch=record["epoch"]) if written else None
    layers = tuple(_layer(record, one, snapshot) for one in written)
    return PastExplanation(record=record, layers=layers, language=language)


def _layer(record: dict, written: dict, snapshot: RegisterSnapshot) -> LayerOfRecord:
    """A layer that was not in the catalogue bears no owner: that is all there was to decide."""
    agency = record["agency"]
    decision = decide(_request(record, written), snapshot.agreements.get(agency, ())) if "owner" in written else UNKNOWN
    edition = written.get("edition")
    return LayerOfRecord(
        layer=f"{written['layer']}@{edition}" if edition else written["layer"], effect=written["effect"],
        reasons=tuple(tuple(reason) for reason in written["reasons"]), decision=decision,
    )


def _request(record: dict, written: dict) -> OverlayRequest:
    """The question as the gate put it."""
    return OverlayRequest(
        agency=record["agency"], layer=written["layer"], edition=written["edition"], owner=written["owner"],
        operation=Operation(written.get("operation") or record["operation"]), at=datetime.fromisoformat(record["at"]).astimezone(SHANGHAI),
        scale_denominator=written.get("scale_denominator"), format=written.get("format"), crs=written.get("crs"), style=written.get("style"),
        attributes=frozenset(written.get("attributes", ())), product=written["product"], is_latest=written["is_latest"],
        classification=written["classification"], networks=frozenset(record.get("networks", ())), purpose=record.get("purpose", ""),
        app=record.get("app", ""), exhausted=frozenset(written.get("exhausted", ())),
        extent=shapely.from_wkt(written["extent"]) if "extent" in written else None,
    )
