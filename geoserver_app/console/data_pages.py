"""What is held: layers, their editions side by side as maps of sheets, and every sheet with what it is and where it comes from."""

from dataclasses import dataclass
from typing import Annotated, Literal

import flask
import shapely
from markupsafe import Markup
from pydantic import Field

from geoserver_app.api.ingest_jobs import JobQuery
from geoserver_app.api.layers import EditionTold, HeldLayer, SheetQuery, SheetShown, held_edition, held_layer, others_of
from geoserver_app.api.operation import STAFF
from geoserver_app.api.reading import Sent
from geoserver_app.console.frame import Frame, address, asked, page
from geoserver_app.console.register_pages import agency_names
from geoserver_app.sheets.edition_facts import EditionFacts, currency_of, facts_book, missing_ground, sheets_meant
from geoserver_app.sheets.map import MOST_LINKED, Cell, Swatch, colours, legend, sheet_map
from layers.model import Edition, Layer, Sheet
from layers.sheets import encode, sheet_bounds

ROWS = 60
MOST_SIDE_BY_SIDE = 4
WAY_IN = "D"
"""Sheets of 1:100,000 are the way in to a map of too many sheets: 64 of 1:10,000 lie in each."""

By = Literal["currency", "edition", "taken_in"]


class Look(Sent):
    """`by` is what sheets are coloured by, `text` which are meant, `after` where the list goes on."""

    by: By = "currency"
    text: Annotated[str, Field(max_length=100)] = ""
    after: Annotated[str, Field(max_length=300)] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """An edition with its map."""

    told: EditionTold
    picture: Markup
    legend: list[Swatch]


@page("console.data", "/data", roles=STAFF)
def data(frame: Frame) -> flask.Response:
    layers: list[HeldLayer] = frame.ask("data.layers")["items"]
    jobs = frame.ask("data.jobs", query=JobQuery())["items"]
    quarantined = frame.ask("data.quarantine")["items"]
    return frame.shown(
        "data.html", layers=layers, names=agency_names(frame), jobs=jobs[:5], is_running=any(one.state == "running" for one in jobs), size=size,
        quarantined=quarantined,
    )


@page("console.data.layer", "/data/<layer>", roles=STAFF)
def data_layer(frame: Frame, layer: str) -> flask.Response:
    told: HeldLayer = frame.ask("data.layers.get", layer=layer)
    held, look = held_layer(frame.visit, layer), asked(Look, "by")
    pairs = [(one, held.edition(one.edition)) for one in told.editions[:MOST_SIDE_BY_SIDE]]
    painted = colours([_kind(sheet, edition, look.by) for _, edition in pairs for sheet in facts_book().of(edition).sheets])
    everything = shapely.union_all([facts_book().of(edition).covered for _, edition in pairs])
    drawn = [_drawn(frame, held, edition, one, look.by, painted, everything) for one, edition in pairs]
    newest = _newest(frame, held) if len(pairs) > 1 else None
    return frame.shown("data_layer.html", one=told, drawn=drawn, newest=newest, look=look, names=agency_names(frame), size=size)


@page("console.data.edition", "/data/<layer>/<edition>", roles=STAFF)
def data_edition(frame: Frame, layer: str, edition: str) -> flask.Response:
    told: EditionTold = frame.ask("data.editions.get", layer=layer, edition=edition)
    held, found = held_edition(frame.visit, layer, edition)
    look = asked(Look)
    listed = frame.ask("data.sheets", layer=layer, edition=edition, query=SheetQuery(text=look.text, after=look.after[:200], limit=ROWS))
    facts = facts_book().of(found)
    meant = sheets_meant(facts.sheets, look.text)
    painted = colours([_kind(sheet, found, look.by) for sheet in facts.sheets])
    drawn = _drawn(frame, held, found, told, look.by, painted, None, meant if look.text else facts.sheets)
    return frame.shown(
        "data_edition.html", layer=held, one=told, drawn=drawn, listed=listed, look=look, size=size, kind=lambda sheet: painted.get(
            _kind(facts.sheet(sheet.sheet), found, look.by), ""), others=[other.name for other in held.editions if other.name != edition],
    )


@page("console.data.sheet", "/data/<layer>/<edition>/<int:sheet>", roles=STAFF)
def data_sheet(frame: Frame, layer: str, edition: str, sheet: int) -> flask.Response:
    one: SheetShown = frame.ask("data.sheets.get", layer=layer, edition=edition, sheet=str(sheet))
    held, found = held_edition(frame.visit, layer, edition)
    footprint = shapely.geometry.shape(one.footprint)
    return frame.shown(
        "data_sheet.html", layer=held, edition=found, one=one, around={other.direction: other for other in one.neighbours}, corners=footprint.bounds,
        frame_corners=sheet_bounds(one.number) if one.number else None,
    )


# -- maps

def _drawn(
    frame: Frame, layer: Layer, edition: Edition, told: EditionTold, by: By, painted: dict[str, str], fitted: shapely.Geometry | None,
    meant: "tuple[Sheet, ...] | list[Sheet] | None" = None,
) -> Drawn:
    """An edition's sheets, or those of them that are `meant`, and the holes among them."""
    facts = facts_book().of(edition)
    sheets = facts.sheets if meant is None else meant
    if not sheets:
        return Drawn(told=told, picture=Markup(""), legend=[])
    cells = [_cell(layer, edition, sheet, by) for sheet in sheets]
    ground = missing_ground(facts, others_of(layer, edition))
    if len(sheets) < len(facts.sheets):
        fitted = shapely.box(*shapely.total_bounds([sheet.footprint for sheet in sheets]))
        ground = shapely.intersection(ground, shapely.buffer(fitted, max(fitted.bounds[2] - fitted.bounds[0], 0.01) / 10))
    label = frame.say(f"{layer.name}@{edition.name} 的 {len(sheets)} 幅图", f"{len(sheets)} sheets of {layer.name}@{edition.name}")
    if not ground.is_empty:
        label += frame.say(f"，缺 {told.holes_km2:,.1f} 平方千米", f", {told.holes_km2:,.1f} km² missing")
    around = _ways_in(layer, edition, facts) if len(cells) > MOST_LINKED else ()
    drawn = sheet_map(cells, ground, painted, label=label, around=around, frame=fitted)
    return Drawn(told=told, picture=Markup(drawn), legend=legend(cells, painted))


def _newest(frame: Frame, layer: Layer) -> Drawn:
    """All editions on one map, each over those that are older, coloured by edition: what `latest` can't show of the newest alone."""
    cells = [
        _cell(layer, edition, sheet, "edition") for edition in reversed(layer.editions) for sheet in facts_book().of(edition).sheets
    ]
    painted = colours([cell.kind for cell in cells])
    label = frame.say(f"{layer.name} 各版本的覆盖范围", f"what each edition of {layer.name} covers")
    if len(cells) > MOST_LINKED:
        cells = [
            Cell(ground=facts_book().of(edition).covered, kind=edition.name, name=edition.name, href=address("data_edition", layer=layer.name, edition=edition.name))
            for edition in reversed(layer.editions)
        ]
    holes = shapely.difference(
        shapely.union_all([facts_book().of(one).holes for one in layer.editions]), shapely.union_all([facts_book().of(one).covered for one in layer.editions]),
    )
    return Drawn(told=None, picture=Markup(sheet_map(cells, holes, painted, label=label)), legend=legend(cells, painted))


def _cell(layer: Layer, edition: Edition, sheet: Sheet, by: By) -> Cell:
    kind = _kind(sheet, edition, by)
    return Cell(
        ground=sheet.footprint, kind=kind, name=" ".join(part for part in (sheet.number or sheet.source_name, kind) if part),
        href=address("data_sheet", layer=layer.name, edition=edition.name, sheet=sheet.sheet_id),
    )


def _kind(sheet: Sheet, edition: Edition, by: By) -> str:
    """What a sheet is coloured by; "" where it is not known."""
    if by == "edition":
        return edition.name
    moment = currency_of(sheet, edition) if by == "currency" else sheet.taken_in
    return "" if moment is None else f"{moment:%Y}" if by == "currency" else f"{moment:%Y-%m}"


def _ways_in(layer: Layer, edition: Edition, facts: EditionFacts) -> list[Cell]:
    """The sheets of 1:100,000 in which those of the edition lie."""
    centres = shapely.get_coordinates(shapely.centroid([sheet.footprint for sheet in facts.sheets]))
    numbers = {encode(lon, lat, WAY_IN) for lon, lat in centres.round(6).tolist()}
    return [
        Cell(ground=shapely.box(*sheet_bounds(number)), kind="", name=number, href=address("data_edition", layer=layer.name, edition=edition.name, text=number))
        for number in sorted(numbers)
    ]


def size(count: int) -> str:
    """Bytes, for people.

    >>> size(0), size(1536), size(123_456_789)
    ('0 B', '1.5 KB', '118 MB')
    """
    value, unit = float(count), "B"
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if value < 1024 or unit == "TB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if value >= 10 or unit == "B" else f"{value:.1f} {unit}"
