"""WCS 1.0.0 and 2.0.1 by KVP, at /wcs and at /ows with SERVICE=WCS: the values of rasters, for who is granted GetCoverage.

Reading order of a coverage: who asks, what is asked, by which pixels the coverage is offered to him, which of them are meant, one permit, the
values cut by its parts, a file. The scale of a decision is that of the answer, however it is made of what there is (design R4).
"""

import flask

from agreements.model import Operation
from geoserver_app.charging import Tally
from geoserver_app.coverages.files import coverage_file
from geoserver_app.coverages.wcs import CoverageEntry, coverage_descriptions, coverages, wcs_capabilities
from geoserver_app.gate import Asked, Drawn, Visible
from geoserver_app.identity import Caller
from geoserver_app.routes import governed
from geoserver_app.views.access import caller_of, language, limits, raw_query, served, service_entry
from geoserver_app.wiring import services
from layers.model import LayerName, Patch, View
from layers.periods import edition_at
from tiles.coverage import cut_values
from tiles.coverage_views import view_of
from tiles.permits import Permit
from tiles.requests import GetCapabilities, Pairs, pairs_of
from tiles.requests.expressible import expressible
from tiles.requests.wcs import NEW, OLD, TIFF, DescribeCoverage, GetCoverage, coverage_id, parse_wcs
from tiles.requests.wcs_faults import invalid

bp = flask.Blueprint("wcs", __name__)

EXTENSIONS = {"image/tiff": "tif", "image/png": "png", "image/jpeg": "jpg"}
XML = "text/xml; charset=utf-8"


@bp.get("/wcs")
@governed("GetCapabilities", "DescribeCoverage", "GetCoverage")
def wcs():
    return answer_wcs(caller_of("WCS"), pairs_of(raw_query()))


def answer_wcs(caller: Caller, pairs: Pairs) -> flask.Response:
    match parse_wcs(pairs, limits()):
        case GetCapabilities(version=version):
            found = _offered(caller, services().gate.open_for(caller, Operation.GET_COVERAGE, record=Operation.DESCRIBE_LAYER))
            return flask.Response(wcs_capabilities(version, found, service_entry(caller), caller.address), content_type=XML)
        case DescribeCoverage() as asked:
            return flask.Response(coverage_descriptions(asked.version, _described(caller, asked)), content_type=XML)
        case GetCoverage() as asked:
            return _coverage(caller, asked)


def _offered(caller: Caller, open_ones: tuple[Visible, ...]) -> list[CoverageEntry]:
    return coverages(open_ones, language(), caller.address)


# -- what there is

def _described(caller: Caller, asked: DescribeCoverage) -> list[CoverageEntry]:
    """The coverages named, in that order; all where none is. Raises Refused where one is unknown or not shared."""
    gate = services().gate
    if not asked.coverages:
        return _offered(caller, gate.open_for(caller, Operation.GET_COVERAGE, record=Operation.DESCRIBE_LAYER))
    gate.permits(caller, [Asked(layer=name, operation=Operation.GET_COVERAGE) for name in asked.coverages])
    return [_entry_of(caller, name, asked.version) for name in asked.coverages]


def _entry_of(caller: Caller, name: LayerName, version: str) -> CoverageEntry:
    """Asked only after the gate, so it tells nothing of what is not shared. Raises RequestInvalid where nothing of it can be had."""
    entry = _entry(caller, name)
    if entry is None:
        raise invalid("LayerNotDefined", "LAYERS", "wcs-no-values", layer=name if version == OLD else coverage_id(name))
    return entry


def _entry(caller: Caller, name: LayerName) -> CoverageEntry | None:
    """The coverage as it was asked for: by its bare name, or by that of the edition."""
    open_ones = services().gate.open_for(caller, Operation.GET_COVERAGE)
    meant = tuple(
        one for one in open_ones if one.layer.name == name.layer and (one.is_latest if name.edition is None else one.edition.name == name.edition)
    )
    return next(iter(_offered(caller, meant)), None)


# -- values

def _coverage(caller: Caller, asked: GetCoverage) -> flask.Response:
    name = _at_its_time(caller, asked)
    entry = _entry(caller, name)
    if entry is None:                       # unknown, unshared, or no coverage: the gate says which of them, and to whom
        services().gate.permits(caller, [Asked(layer=name, operation=Operation.GET_COVERAGE)])
        entry = _entry_of(caller, name, asked.version)
    bands = _checked(asked, entry)
    view = view_of(asked, entry.grid, limits())
    answer = served(
        caller, [Asked(layer=name, operation=Operation.GET_COVERAGE, view=view, format=asked.media_type)],
        lambda permits: _filled(permits[0], asked, view, bands),
    )
    answer.headers.set("Content-Disposition", "attachment", filename=f"{entry.id}.{EXTENSIONS[asked.media_type]}")
    return answer


def _at_its_time(caller: Caller, asked: GetCoverage) -> LayerName:
    """The edition that TIME means, of those that the caller may have values of; the name as it is where it is none of his."""
    if asked.time is None:
        return asked.coverage
    mine = [
        one.edition for one in services().gate.open_for(caller, Operation.GET_COVERAGE)
        if one.layer.name == asked.coverage.layer and asked.coverage.edition in (None, one.edition.name)
    ]
    if not mine:
        return asked.coverage
    edition = edition_at(mine, asked.time)
    if edition is None:
        raise invalid("InvalidParameterValue", "time", "wcs-no-time", value=asked.time.text, layer=asked.coverage)
    return LayerName(asked.coverage.layer, edition.name)


def _checked(asked: GetCoverage, entry: CoverageEntry) -> tuple[str, ...]:
    """The bands asked for, by name, none where they are all, in their order. Which formats are granted is for the gate to say; what a coverage of
    this kind can't be is told here, whoever asks."""
    shown, names = (entry.id, "RANGESUBSET") if asked.version == NEW else (entry.name, "BAND")
    if asked.media_type not in entry.kinds:
        raise invalid("InvalidFormat", "format", "wcs-format", value=asked.media_type, layer=shown, choices=", ".join(entry.kinds))
    known = {field.name if asked.version == NEW else str(number): field.name for number, field in enumerate(entry.fields, 1)}
    for band in asked.bands:
        if band not in known:
            raise invalid("NoSuchField", names.lower(), "wcs-bands", value=band, layer=shown, choices=", ".join(known))
    found = tuple(known[band] for band in asked.bands)
    if found == tuple(known.values()):
        return ()
    if len(found) > len(known):
        raise invalid("InvalidParameterValue", names.lower(), "wcs-bands", value=",".join(asked.bands), layer=shown, choices=", ".join(known))
    if found and asked.media_type != TIFF:
        raise invalid("InvalidParameterValue", names.lower(), "wcs-not-taken", name=names, mend=f"of single bands ask for {TIFF}")
    return found


def _filled(permit: Permit, asked: GetCoverage, view: View, bands: tuple[str, ...]) -> Drawn:
    patch = cut_values(services().engine, permit, view, resampling=asked.resampling)
    data = coverage_file(patch, view, permit.edition.product, asked.media_type, compression=asked.compression, bands=bands)
    return Drawn(body=data, content_type=asked.media_type, tallies=(_tally(patch, view) if permit.bookings and patch is not None else None,))


def _tally(patch: Patch, view: View) -> Tally:
    """What is about to leave, as maps count it: where the reference system means something, and there is something."""
    inner, (col, row) = expressible(view)
    valid = patch.valid[row:row + inner.height, col:col + inner.width]
    return Tally(view=inner, opaque=None if valid.all() else valid)
