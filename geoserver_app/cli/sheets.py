"""`geoshare sheet` and `geoshare lineage`: map sheets by any number, place or division, the index of a layer, and what a map is made of."""

import json

import click

from geoserver_app.cli.base import InputInvalid, counted, json_option, layer_named, opened, table, tell
from geoserver_app.settings import Settings
from tiles.errors import RequestInvalid


@click.group()
def sheet():
    """Map sheets of GB/T 13989: show, find, neighbours, index."""


@sheet.command("show")
@click.argument("number")
@json_option
@click.pass_obj
def sheet_show(settings: Settings, number, as_json):
    """All that the standard says of a sheet, and which editions hold it.

    NUMBER in any spelling, new or old: I50G095077, i50 g 095077, I-50-142-(53). An old sheet of 1:200,000 is told as its four.
    """
    from geoserver_app.sheets.search import facts
    from tiles.requests.sheets import sheet_numbers

    numbers = _asked(lambda: sheet_numbers(number))
    told = [facts(one) | {"held": holdings.get(one, [])} for holdings in [_holdings(settings, set(numbers))] for one in numbers]
    if as_json:
        click.echo(json.dumps(told, ensure_ascii=False, default=str))
        return
    for one in told:
        _print(one)


@sheet.command("find")
@click.option("--lon", type=float, help="Degrees east, with --lat.")
@click.option("--lat", type=float, help="Degrees north, with --lon.")
@click.option("--division", help="Code of a division: the sheets that share ground with it.")
@click.option("--vintage", help="Vintage of its boundaries; the latest if not given.")
@click.option("--scale", default="10000", show_default=True, help="Denominator or letter.")
@click.argument("text", required=False)
@json_option
@click.pass_obj
def sheet_find(settings: Settings, lon, lat, division, vintage, scale, text, as_json):
    """Sheets by TEXT (a number in any spelling), by a place, or by a division; and how many editions hold each."""
    from geoserver_app.sheets.search import brief, found
    from tiles.requests.sheets import parse_find

    given = {"q": text, "lon": lon, "lat": lat, "division": division, "vintage": vintage, "scale": scale}
    asked = _asked(lambda: parse_find([(name, str(value)) for name, value in given.items() if value is not None]))
    numbers = _asked(lambda: found(asked, opened(settings)[0]))
    held = _holdings(settings, set(numbers))
    rows = [
        [one["number"], one["old_number"], one["scale_denominator"], *one["bounds"], ", ".join(f"{each['layer']}@{each['edition']}" for each in held.get(number, []))]
        for number in numbers for one in [brief(number)]
    ]
    table(["number", "old_number", "scale", "west", "south", "east", "north", "held"], rows, as_json)


@sheet.command("neighbours")
@click.argument("number")
@json_option
def sheet_neighbours(number, as_json):
    """The eight sheets around one, and their old numbers."""
    from layers.errors import SheetNumberInvalid
    from layers.sheets import any_number, neighbours, old_number

    try:
        around = neighbours(any_number(number))
    except SheetNumberInvalid as error:
        raise InputInvalid(str(error)) from error
    table(["direction", "number", "old_number"], [[direction, one, old_number(one)] for direction, one in around.items()], as_json)


@sheet.command("index")
@click.option("--within", metavar="CODE", help="Division that is to be covered: each of its sheets that no edition holds is a hole.")
@click.option("--remove", "is_removed", is_flag=True, help="Take the index away.")
@click.argument("name", metavar="LAYER", callback=layer_named)
@click.pass_obj
def sheet_index(settings: Settings, within, is_removed, name):
    """Publish the sheet index of a raster layer as the layer LAYER-sheets; from then on it follows every change.

    It is shared by agreements like any other layer: by default with nobody.
    """
    from geoserver_app.sheets.indexing import index_name, make_index, remove_index

    if is_removed:
        remove_index(settings, opened(settings)[0], name)
        click.echo(f"{index_name(name)} removed")
        return
    edition = make_index(settings, name, within)
    click.echo(f"{edition.layer}@{edition.name}: {counted(sum(one.count for one in edition.classes), 'polygon')}")


@click.command("lineage")
@click.option("--bbox", help="x_min,y_min,x_max,y_max in --crs.")
@click.option("--crs", default="CRS:84", show_default=True, help="CRS of --bbox, x before y.")
@click.option("--tile", help="Matrix set/z/x/y, instead of --bbox.")
@click.argument("name", metavar="LAYER", callback=layer_named)
@json_option
@click.pass_obj
def lineage(settings: Settings, bbox, crs, tile, name, as_json):
    """Which delivered files a map or a tile of LAYER (or LAYER@EDITION) is made of, and how they were made."""
    from geoserver_app.downloads import ground_of
    from geoserver_app.sheets.granted import GrantedSheets
    from geoserver_app.sheets.lineage import contributions
    from layers.errors import LayerNotDefined
    from layers.model import LayerName
    from layers.sheets.shelf import SheetShelf
    from tiles.requests import fault
    from tiles.requests.sheets import parse_lineage

    given = {"layer": name, "bbox": bbox, "crs": crs if bbox else None, "tile": tile}
    asked = _asked(lambda: parse_lineage([(key, value) for key, value in given.items() if value]))
    catalogue, _ = opened(settings)
    found = catalogue.snapshot().find(LayerName.parse(name))
    if found is None:
        raise LayerNotDefined(name)
    layer, edition = found
    if not layer.product.is_raster:
        raise InputInvalid(str(fault("OperationNotSupported", "layer", "no-sheets", value=name)))
    shown = contributions(GrantedSheets(SheetShelf(catalogue)).of(edition, None), ground_of(asked.view))
    told = [
        {
            "share": round(one.share, 6), "number": sheet.number, "layer": layer.name, "edition": edition.name, "currency": sheet.currency, "file": sheet.source_name,
            "sha256": sheet.checksum, "kept": sheet.delivered, "taken_in": sheet.taken_in, "steps": sheet.lineage,
        }
        for one in shown for sheet in [one.one.sheet]
    ]
    if as_json:
        click.echo(json.dumps(told, ensure_ascii=False, default=str))
        return
    if not told:
        tell(f"nothing of {layer.name}@{edition.name} lies there")
    for one in told:
        click.echo(f"{one['share']:7.2%}  {one['number'] or '-'}  {one['layer']}@{one['edition']}  {one['currency'] or ''}  {one['file']}  {one['sha256'][:12]}")
        for step in one["steps"]:
            click.echo(f"         {step}")


def _holdings(settings: Settings, numbers: set[str]) -> dict[str, list[dict]]:
    """By number: every raster edition that holds it, and in which file."""
    catalogue, _ = opened(settings)
    held: dict[str, list[dict]] = {}
    for layer in catalogue.snapshot().layers.values():
        for edition in layer.editions if layer.product.is_raster else ():
            for one in catalogue.sheets(edition.edition_id):
                if one.number in numbers:
                    held.setdefault(one.number, []).append(
                        {"layer": layer.name, "edition": edition.name, "file": one.source_name, "currency": one.currency, "sha256": one.checksum})
    return held


def _print(one: dict) -> None:
    held = [f"{each['layer']}@{each['edition']} ({each['file']})" for each in one["held"]]
    plane = one["gauss_kruger"]
    lines = [
        ("old number", one["old_number"] or "none"), ("scale", f"1:{one['scale_denominator']:,}"), ("degrees", ", ".join(f"{edge:g}" for edge in one["bounds"])),
        ("metres", f"{plane['crs']}: {', '.join(f'{edge:.2f}' for edge in plane['bounds'])}" if plane else "none"), ("within", ", ".join(one["parents"].values()) or "none"),
        ("1:200,000", one["old_1_200000"] or "none"), ("holds", ", ".join(one["children"]) or "none"),
        ("around", ", ".join(f"{direction} {number}" for direction, number in one["neighbours"].items())), ("held by", ", ".join(held) or "none"),
    ]
    click.echo(one["number"])
    for name, value in lines:
        click.echo(f"  {name:<10} {value}")


def _asked(read):
    """What `read` makes of the words of a command, or their fault."""
    try:
        return read()
    except RequestInvalid as error:
        raise InputInvalid(str(error)) from error
