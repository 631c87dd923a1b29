"""Why a request is permitted, clipped or denied, in words: the very decision of the gate, with its reasons spelled out."""

from dataclasses import dataclass
from datetime import datetime

import shapely

from agreements.decision import decide
from agreements.errors import AgencyNotDefined
from agreements.model import BUREAU, Decision, Effect, Operation, OverlayRequest, Reason
from agreements.register import AgreementRegister
from agreements.terms import sentence
from geoserver_app.clock import in_shanghai, now
from layers.catalogue import Catalogue
from layers.crs import parse_crs
from layers.errors import LayerNotDefined
from layers.model import LayerName


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
        lines = [sentence(reason, self.language) for reason in self.decision.reasons]
        return "\n".join([f"{self.effect.value.upper():7} {lines[0] if lines else ''}", *(f"        {line}" for line in lines[1:])])

    def as_json(self) -> dict:
        return {
            "effect": self.effect.value, "agency": self.request.agency, "layer": f"{self.request.layer}@{self.request.edition}",
            "operation": self.request.operation.value, "at": self.request.at.isoformat(),
            "reasons": [_reason(reason, self.language) for reason in self.decision.reasons],
            "holds_until": self.decision.holds_until.isoformat() if self.decision.holds_until else None,
        }


def _reason(reason: Reason, language: str) -> dict:
    return {
        "code": reason.code, "agreement": reason.agreement_id, "version": reason.version, "clause": reason.clause, "sentence": sentence(reason, language),
    }


def explain(
    catalogue: Catalogue, register: AgreementRegister, *, agency: str, layer: str, operation: Operation, bounds: str | None = None,
    scale: float | None = None, style: str | None = None, media_type: str | None = None, crs: str | None = None,
    attributes: frozenset[str] = frozenset(), at: datetime | None = None, language: str = "en",
) -> Explanation:
    """The decision for one layer with all its reasons.

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
    held = register.snapshot()
    if agency not in held.agencies and agency != BUREAU:
        raise AgencyNotDefined(agency)
    found = catalogue.snapshot().find(LayerName.parse(layer))
    if found is None:
        raise LayerNotDefined(layer)
    request = OverlayRequest(
        agency=agency, layer=found[0].name, edition=found[1].name, owner=found[0].owner, operation=operation,
        at=in_shanghai(at) if at else now(), extent=_extent(bounds), scale_denominator=scale, format=media_type,
        crs=parse_crs(crs) if crs else None, style=style,
        attributes=attributes,
    )
    return Explanation(request=request, decision=decide(request, held.agreements.get(agency, ())), language=language)


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
