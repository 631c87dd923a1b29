"""A toy world, and who sees what in it by a program that is too simple to be wrong: cell by cell, grant by grant, without any geometry.

It is written from the prose (design R1-R3, R7), not from `agreements.decision`: whole grants are OR-ed, never their dimensions; a suspension
beats any grant; what is passed on is what both agreements allow; a request that names an attribute is allowed by a grant that tells it.
Toys are plain dictionaries; `in_earnest` makes agreements of them.
"""

from datetime import timedelta
from functools import lru_cache

import shapely
from small_world import NOON, agreement, grant, request
from worlds import ground, suspension

from agreements.model import BUREAU, Operation, ResolutionWindow, ScaleWindow, State, Term

DAY = timedelta(days=1)
OPEN_GRANT = {
    "layers": {"dom"}, "products": set(), "editions": None, "operations": {"GetMap"}, "cells": {(0, 0)}, "scales": (0, 10**12),
    "pixels": (0, 10**12), "days": (-1000, 1000), "attributes": None, "rows": None, "grid": None, "networks": None, "purposes": None, "apps": None,
    "ceiling": 4, "formats": None, "crs": None, "styles": None,
}
"""A grant of one cell with every other term open; days count from the moment of the requests."""

OPEN_AGREEMENT = {"name": "AG-1", "giver": BUREAU, "taker": "water", "parent": None, "state": "active", "grants": [], "stops": []}

QUESTION = {
    "taker": "water", "layer": "dom", "edition": "2011", "latest": True, "product": "DOM", "owner": BUREAU, "secrecy": 0, "operation": "GetMap", "scale": 5000,
    "attributes": set(), "networks": set(), "purpose": "", "app": "", "format": "image/png", "crs": "EPSG:4549", "style": "default", "spent": set(),
}


def toy_grant(**terms) -> dict:
    return OPEN_GRANT | terms


def toy_agreement(*grants: dict, **terms) -> dict:
    return OPEN_AGREEMENT | {"grants": list(grants)} | terms


def question(**terms) -> dict:
    return QUESTION | terms


# The prose

def about(names, asked) -> bool:
    """`dom` is every edition, `dom@2006` one, `dom@latest` the newest."""
    spellings = {asked["layer"], f"{asked['layer']}@{asked['edition']}"} | ({f"{asked['layer']}@latest"} if asked["latest"] else set())
    return bool(spellings & set(names))


def about_layer(one, g, asked) -> bool:
    is_shareable = one["giver"] == asked["owner"] or one["parent"] is not None
    if not about(g["layers"], asked) and not (asked["product"] in g["products"] and is_shareable):
        return False
    return g["editions"] is None or asked["edition"] in g["editions"] or (asked["latest"] and "latest" in g["editions"])


def told(name, attributes) -> bool:
    return attributes is None or name in attributes or name.split(".")[-1] in attributes


def allows(one, g, asked) -> bool:
    """Whether a whole grant allows the request, wherever it is about: every term, or not at all."""
    metres = asked["scale"] * 0.00028
    return all([
        about_layer(one, g, asked),
        one["giver"] == asked["owner"] or one["parent"] is not None,
        one["state"] == "active",
        one["name"] not in asked["spent"],
        g["days"][0] <= 0 < g["days"][1],
        asked["operation"] in g["operations"],
        g["scales"][0] <= asked["scale"] <= g["scales"][1],
        g["pixels"][0] <= metres <= g["pixels"][1],
        all(told(name, g["attributes"]) for name in asked["attributes"]),
        g["networks"] is None or bool(g["networks"] & asked["networks"]),
        g["purposes"] is None or asked["purpose"] in g["purposes"],
        g["apps"] is None or asked["app"] in g["apps"],
        asked["secrecy"] <= g["ceiling"],
        g["formats"] is None or asked["format"] in g["formats"],
        g["crs"] is None or asked["crs"] in g["crs"],
        g["styles"] is None or asked["style"] in g["styles"],
        g["rows"] is None or asked["product"] in ("DLG", "OVERLAY"),
        g["grid"] is None or asked["product"] in ("DOM", "DEM"),
    ])


def stopped(cell, one, asked, world) -> bool:
    """A stop of the owner, or of who passes it on, beats any grant that he makes."""
    for other in world:
        if other["taker"] != one["taker"] or other["giver"] not in (asked["owner"], one["giver"]):
            continue
        if other["giver"] != asked["owner"] and other["parent"] is None:
            continue
        for stop in other["stops"]:
            named = about(stop["layers"], asked) if stop["layers"] is not None else any(about_layer(other, g, asked) for g in other["grants"])
            if named and (stop["cells"] is None or cell in stop["cells"]):
                return True
    return False


def shown(cell, asked, world, taker=None, passing=()) -> set[tuple]:
    """What the taker may see of a cell: of each whole grant (attributes, rows, grid in metres, agreements it is charged to)."""
    taker = taker or asked["taker"]
    found = set()
    for one in world:
        if one["taker"] != taker or stopped(cell, one, asked, world):
            continue
        for g in one["grants"]:
            if cell not in g["cells"] or not allows(one, g, asked):
                continue
            own = (None if g["attributes"] is None else frozenset(g["attributes"]), frozenset({g["rows"]} - {None}), g["grid"], (one["name"],))
            if one["giver"] == asked["owner"]:
                found.add(own)
            elif one["name"] not in passing:
                above = shown(cell, asked, world, one["giver"], (*passing, one["name"]))
                found |= {both(own, other) for other in above if other[3][0] == one["parent"] and one["name"] not in other[3]}
    return found


def both(own, other) -> tuple:
    attributes, rows, grid, charged = own
    theirs, their_rows, their_grid, their_charged = other
    if attributes is None or theirs is None:
        common = theirs if attributes is None else attributes
    else:
        common = frozenset(n for n in attributes if told(n, theirs)) | frozenset(n for n in theirs if told(n, attributes))
    coarser = [each for each in (grid, their_grid) if each is not None]
    return common, rows | their_rows, max(coarser, default=None), charged + their_charged


# In earnest

def in_earnest(one: dict):
    stops = tuple(
        suspension(layers=s["layers"] and frozenset(s["layers"]), area=s["cells"] and cells_of(frozenset(s["cells"]))) for s in one["stops"]
    )
    return agreement(
        *(earnest_grant(number, g) for number, g in enumerate(one["grants"])), agreement_id=one["name"], grantor=one["giver"], grantee=one["taker"],
        parent=one["parent"], state=State(one["state"]), suspensions=stops,
    )


cells_of = lru_cache(maxsize=None)(ground)


def earnest_grant(number: int, g: dict):
    def some(name):
        return None if g[name] is None else frozenset(g[name])

    return grant(
        clause=str(number), layers=frozenset(g["layers"]), products=frozenset(g["products"]), editions=some("editions"),
        operations=frozenset(map(Operation, g["operations"])), area=cells_of(frozenset(g["cells"])),
        scale=ScaleWindow(finest=g["scales"][0] or None, coarsest=g["scales"][1]), resolution=ResolutionWindow(finest=g["pixels"][0], coarsest=g["pixels"][1]),
        term=Term(start=NOON + DAY * g["days"][0], end=NOON + DAY * g["days"][1]), attributes=some("attributes"), rows=g["rows"], degrade=g["grid"],
        networks=some("networks"), purposes=some("purposes"), apps=some("apps"), ceiling=g["ceiling"], formats=some("formats"), crs=some("crs"),
        styles=some("styles"),
    )


def earnest_question(asked: dict):
    return request(
        agency=asked["taker"], layer=asked["layer"], edition=asked["edition"], is_latest=asked["latest"], product=asked["product"], owner=asked["owner"],
        classification=asked["secrecy"], operation=Operation(asked["operation"]), scale_denominator=asked["scale"],
        attributes=frozenset(asked["attributes"]), networks=frozenset(asked["networks"]), purpose=asked["purpose"], app=asked["app"],
        format=asked["format"], crs=asked["crs"], style=asked["style"], exhausted=frozenset(asked["spent"]),
    )


def shown_in_earnest(decision, cells) -> dict[tuple, set[tuple]]:
    """What a decision shows of each cell, in the same words as `shown`; the area it answers is the cells of its pieces."""
    found = {cell: set() for cell in cells}
    for piece in decision.pieces:
        own = (piece.attributes, frozenset(filter(None, (g.rows for g in piece.grants))), piece.degrade, piece.charged)
        for cell in cells_in(piece.area, cells):
            found[cell].add(own)
    seen = cells_in(decision.area, cells) if decision.area else frozenset()
    assert seen == {cell for cell in cells if found[cell]}
    return found


_cells: dict[tuple, frozenset] = {}


def cells_in(area, cells) -> frozenset:
    name = area.digest, tuple(cells)
    if name not in _cells:
        inside = shapely.contains_xy(area.geometry, [118.5 + c for c, _ in cells], [32.5 + r for _, r in cells])
        _cells[name] = frozenset(cell for cell, is_in in zip(cells, inside, strict=True) if is_in)
    return _cells[name]
