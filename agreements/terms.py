"""The terms of a grant: one small function a term, None where the request meets it, else the code of a reason.

A grant allows a request when every term is met, or not at all (design R2). The area is no term: it is what the decision is about.
A new kind of term is one function here and one sentence in `agreements.reasons`.
"""

import re
from collections.abc import Callable
from functools import lru_cache

from agreements.model import (
    FOLLOWS_FROM,
    LATEST,
    UNTOLD_ATTRIBUTE,
    Agreement,
    Grant,
    OverlayRequest,
    Piece,
    Reason,
    ResolutionWindow,
    ScaleWindow,
    State,
)
from agreements.reasons import REASON_CODES, sentence

__all__ = ("REASON_CODES", "TERMS", "binding_terms", "covers_layer", "first_unmet_term", "is_whole", "names_layer", "reason_for", "sentence", "would_allow")


def first_unmet_term(agreement: Agreement, grant: Grant, request: OverlayRequest, terms: "tuple[Term, ...] | None" = None) -> str | None:
    """The code of the first term of `grant` that `request` does not meet; None where it meets them all. `terms` are those of `binding_terms`."""
    for term in terms or TERMS:
        code = term(agreement, grant, request)
        if code is not None:
            return code
    return None


def names_layer(names: frozenset[str], request: OverlayRequest) -> bool:
    """Whether `names` ("dom", or "dom@2011" for one edition, "dom@latest" for the newest) hold the layer that is asked."""
    return (
        request.layer in names or f"{request.layer}@{request.edition}" in names
        or (request.is_latest and f"{request.layer}@{LATEST}" in names)
    )


def covers_layer(agreement: Agreement, grant: Grant, request: OverlayRequest) -> bool:
    """Whether the grant is about the layer and edition that is asked: by name, or by product of what the owner of the layer shares."""
    if not names_layer(grant.layers, request) and not (request.product in grant.products and is_owners(agreement, request)):
        return False
    editions = grant.editions
    return editions is None or request.edition in editions or (request.is_latest and LATEST in editions)


def is_owners(agreement: Agreement, request: OverlayRequest) -> bool:
    """Whether the layer is the grantor's to share: his own, or passed on under an agreement above this one."""
    return agreement.grantor == request.owner or agreement.parent is not None


def layer_term(agreement: Agreement, grant: Grant, request: OverlayRequest) -> str | None:
    return None if covers_layer(agreement, grant, request) else "layer-not-granted"


def version_term(agreement: Agreement, _grant: Grant, request: OverlayRequest) -> str | None:
    return "superseded" if agreement.replaced is not None and request.at >= agreement.replaced else None


def owner_term(agreement: Agreement, _grant: Grant, request: OverlayRequest) -> str | None:
    """Nobody can share what belongs to another, but for what an agreement above lets him pass on: that one is asked too."""
    return None if is_owners(agreement, request) else "grantor-not-owner"


def state_term(agreement: Agreement, _grant: Grant, _request: OverlayRequest) -> str | None:
    if agreement.state is State.ACTIVE:
        return None
    return "suspended" if agreement.state is State.SUSPENDED else "not-active"


def time_term(agreement: Agreement, grant: Grant, request: OverlayRequest) -> str | None:
    """`[start, end)`, of the agreement and of the grant."""
    at = request.at
    for term in (agreement.term, grant.term):
        if (term.start is not None and at < term.start) or (term.end is not None and at >= term.end):
            return "not-in-force"
    return None


def operation_term(_agreement: Agreement, grant: Grant, request: OverlayRequest) -> str | None:
    """A closed list; what follows from another operation is granted with it."""
    if request.operation in FOLLOWS_FROM:
        return None if FOLLOWS_FROM[request.operation] & grant.operations else "operation-not-granted"
    return None if request.operation in grant.operations else "operation-not-granted"


def network_term(_agreement: Agreement, grant: Grant, request: OverlayRequest) -> str | None:
    """The request says from which of the networks that agreements name it comes."""
    return None if grant.networks is None or grant.networks & request.networks else "network-not-granted"


def purpose_term(_agreement: Agreement, grant: Grant, request: OverlayRequest) -> str | None:
    return None if grant.purposes is None or request.purpose in grant.purposes else "purpose-not-granted"


def app_term(_agreement: Agreement, grant: Grant, request: OverlayRequest) -> str | None:
    return None if grant.apps is None or request.app in grant.apps else "app-not-granted"


def ceiling_term(_agreement: Agreement, grant: Grant, request: OverlayRequest) -> str | None:
    return None if grant.ceiling is None or request.classification <= grant.ceiling else "above-ceiling"


def scale_term(_agreement: Agreement, grant: Grant, request: OverlayRequest) -> str | None:
    scale, window = request.scale_denominator, grant.scale
    if scale is None or (window.finest is None and window.coarsest is None):
        return None
    within = (window.finest is None or scale >= window.finest) and (window.coarsest is None or scale <= window.coarsest)
    return None if within else "outside-scale"


def resolution_term(_agreement: Agreement, grant: Grant, request: OverlayRequest) -> str | None:
    asked, window = request.ground_resolution, grant.resolution
    if asked is None:
        return None
    within = (window.finest is None or asked >= window.finest) and (window.coarsest is None or asked <= window.coarsest)
    return None if within else "outside-resolution"


def format_term(_agreement: Agreement, grant: Grant, request: OverlayRequest) -> str | None:
    return None if _among(request.format, grant.formats) else "format-not-granted"


def crs_term(_agreement: Agreement, grant: Grant, request: OverlayRequest) -> str | None:
    return None if _among(request.crs, grant.crs) else "crs-not-granted"


def style_term(_agreement: Agreement, grant: Grant, request: OverlayRequest) -> str | None:
    return None if _among(request.style, grant.styles) else "style-not-granted"


def attributes_term(_agreement: Agreement, grant: Grant, request: OverlayRequest) -> str | None:
    """Every attribute that the request names; a grant of `NAME` holds for every class, one of `HYDL.NAME` for that class alone."""
    if not request.attributes or grant.attributes is None or not hidden_attributes(grant, request):
        return None
    return "attribute-not-granted"


def hidden_attributes(grant: Grant, request: OverlayRequest) -> list[str]:
    granted = grant.attributes or frozenset()
    return sorted(name for name in request.attributes if not is_among(name, granted))


def is_among(name: str, granted: frozenset[str]) -> bool:
    """Whether `HYDL.NAME` or `NAME` is granted: in every class, or in its own."""
    return name in granted or name.rpartition(".")[2] in granted


@lru_cache(maxsize=4096)
def is_whole(rows: str | None) -> bool:
    """Whether a filter stands for itself: parentheses and quotes are closed where they began. One that is not could change what it is joined with.

    A quote after a backslash ends a string for some readers of CQL2 and not for others, so it is never whole.

    >>> is_whole("CC = 'a (b'"), is_whole("CC = 1) OR (1 = 1")
    (True, False)
    """
    if rows is None:
        return True
    depth = 0
    for token in re.findall(r"'[^']*'|\"[^\"]*\"|[()'\"]", rows):
        if token in ("'", '"'):
            return False
        depth += {"(": 1, ")": -1}.get(token, 0)
        if depth < 0:
            return False
    return depth == 0 and rows.strip() != "" and "\\'" not in rows


RASTERS, VECTORS = frozenset({"DOM", "DEM"}), frozenset({"DLG", "OVERLAY"})
"""Products: pixels have no rows to filter, and lines no cells to be averaged in."""


def kind_term(_agreement: Agreement, grant: Grant, request: OverlayRequest) -> str | None:
    """What can't be done to a layer of this kind can't be left undone either: the grant does not count."""
    return None if fits_kind(grant, request) else "not-evaluable"


def fits_kind(grant: Grant, request: OverlayRequest) -> bool:
    return not (grant.rows is not None and request.product in RASTERS) and not (grant.degrade is not None and request.product in VECTORS)


def quota_term(agreement: Agreement, _grant: Grant, request: OverlayRequest) -> str | None:
    """Counting is done elsewhere; the request says whose quota is spent."""
    return "over-quota" if agreement.agreement_id in request.exhausted else None


Term = Callable[[Agreement, Grant, OverlayRequest], str | None]

TERMS: tuple[Term, ...] = (
    layer_term, version_term, owner_term, state_term, time_term, network_term, purpose_term, app_term, ceiling_term,
    operation_term, scale_term, resolution_term, format_term, crs_term, style_term, attributes_term, kind_term, quota_term,
)
"""In the order in which they are told: what is wrong with the agreement before what is wrong with the request."""


def would_allow(piece: Piece, request: OverlayRequest) -> bool:
    """Whether all grants behind a piece of what is described would allow `request` too: the same question of the same layer at the same moment,
    for another operation, style or attributes. So one decision tells all that an agency may do with a layer."""
    return all(term(None, grant, request) is None for grant in piece.grants for term in (operation_term, style_term, attributes_term))


OPEN: dict[Term, Callable[[Grant], bool]] = {
    network_term: lambda grant: grant.networks is None, purpose_term: lambda grant: grant.purposes is None, app_term: lambda grant: grant.apps is None,
    ceiling_term: lambda grant: grant.ceiling is None, scale_term: lambda grant: grant.scale == ScaleWindow(),
    resolution_term: lambda grant: grant.resolution == ResolutionWindow(), format_term: lambda grant: grant.formats is None,
    crs_term: lambda grant: grant.crs is None, style_term: lambda grant: grant.styles is None, attributes_term: lambda grant: grant.attributes is None,
    kind_term: lambda grant: grant.rows is None and grant.degrade is None,
}
"""Terms that a grant may leave open: then every request meets them."""


def binding_terms(grant: Grant) -> tuple[Term, ...]:
    """The terms that some request does not meet, in the order of TERMS."""
    return tuple(term for term in TERMS if term not in OPEN or not OPEN[term](grant))


def _among(asked: str | None, granted: frozenset[str] | None) -> bool:
    return asked is None or granted is None or asked in granted


# What a sentence is made of

def reason_for(agreement: Agreement, grant: Grant, request: OverlayRequest, code: str) -> Reason:
    """Why `grant` did not count, with what its sentence needs."""
    detail = DETAILS[code](agreement, grant, request) if code in DETAILS else {}
    return Reason(
        agreement_id=agreement.agreement_id, version=agreement.version, clause=grant.clause, code=code, detail=detail,
        contact=agreement.contact,
    )


def _why_not_in_force(agreement: Agreement, grant: Grant, request: OverlayRequest) -> dict[str, str]:
    starts = [term.start for term in (agreement.term, grant.term) if term.start is not None and request.at < term.start]
    if starts:
        return {"case": "before", "moment": _spoken(max(starts))}
    return {"case": "after", "moment": _spoken(min(term.end for term in (agreement.term, grant.term) if term.end is not None))}


def _why_hidden(grant: Grant, request: OverlayRequest) -> dict[str, str]:
    """The attributes that the request names; of those that a style shows, that there are some."""
    hidden = hidden_attributes(grant, request)
    named = [name for name in hidden if name != UNTOLD_ATTRIBUTE]
    return {"asked": ", ".join(named)} if named else {"case": "style"}


def _why_outside_scale(_agreement: Agreement, grant: Grant, request: OverlayRequest) -> dict[str, str]:
    is_finer = grant.scale.finest is not None and request.scale_denominator < grant.scale.finest
    return {
        "case": "too-fine" if is_finer else "too-coarse", "asked": _denominator(request.scale_denominator),
        "limit": _denominator(grant.scale.finest if is_finer else grant.scale.coarsest),
    }


def _why_outside_resolution(_agreement: Agreement, grant: Grant, request: OverlayRequest) -> dict[str, str]:
    is_finer = grant.resolution.finest is not None and request.ground_resolution < grant.resolution.finest
    return {
        "case": "too-fine" if is_finer else "too-coarse", "asked": f"{request.ground_resolution:.4g}",
        "limit": f"{grant.resolution.finest if is_finer else grant.resolution.coarsest:.4g}",
    }


def _why_not_evaluable(grant: Grant, request: OverlayRequest) -> dict[str, str]:
    if not fits_kind(grant, request):
        return {"case": "kind"}
    return {"area": grant.area.title} if is_whole(grant.rows) else {"case": "rows"}


def _spoken(moment) -> str:
    return moment.isoformat(sep=" ", timespec="seconds")


def _denominator(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.6g}"


def _listed(values: frozenset[str] | None) -> str:
    return ", ".join(sorted(values or ()))


DETAILS: dict[str, Callable[[Agreement, Grant, OverlayRequest], dict[str, str]]] = {
    "layer-not-granted": lambda agreement, grant, request: {"granted": _listed(grant.layers | grant.products)},
    "suspended": lambda agreement, grant, request: {"case": "agreement"},
    "not-active": lambda agreement, grant, request: {"state": agreement.state.value},
    "not-in-force": _why_not_in_force,
    "operation-not-granted": lambda agreement, grant, request: {"asked": request.operation.value, "granted": _listed(grant.operations)},
    "outside-area": lambda agreement, grant, request: {"area": grant.area.title},
    "outside-scale": _why_outside_scale,
    "outside-resolution": _why_outside_resolution,
    "network-not-granted": lambda agreement, grant, request: {"granted": _listed(grant.networks)},
    "purpose-not-granted": lambda agreement, grant, request: {"asked": request.purpose or "-", "granted": _listed(grant.purposes)},
    "app-not-granted": lambda agreement, grant, request: {"asked": request.app or "-", "granted": _listed(grant.apps)},
    "parent-not-granting": lambda agreement, grant, request: {"parent": agreement.parent or ""},
    "format-not-granted": lambda agreement, grant, request: {"asked": request.format, "granted": _listed(grant.formats)},
    "crs-not-granted": lambda agreement, grant, request: {"asked": request.crs, "granted": _listed(grant.crs)},
    "style-not-granted": lambda agreement, grant, request: {"asked": request.style, "granted": _listed(grant.styles)},
    "attribute-not-granted": lambda agreement, grant, request: _why_hidden(grant, request),
    "not-evaluable": lambda agreement, grant, request: _why_not_evaluable(grant, request),
}
