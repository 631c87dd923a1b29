"""`geoshare layer` and `geoshare division`."""


import json
import sys
from pathlib import Path

import click
from rich.console import Console

from agreements.model import BUREAU
from geoserver_app.cli.base import FAILED, counted, json_option, layer_named, opened, table, tell
from geoserver_app.database import connect, migrate
from geoserver_app.describe import describe_file, describe_layer, secrecy
from geoserver_app.quarantine import quarantined
from geoserver_app.settings import CLASSIFICATIONS, Settings
from layers.delivery.geodatabases import is_geodatabase
from layers.model import ProductType


@click.group()
def layer():
    """Layers: check, add, list, info, remove."""


@layer.command("add")
@click.option("--product", type=click.Choice([p.value for p in ProductType]), required=True, help="What the files are.")
@click.option("--edition", required=True, help="Edition, such as 2011.")
@click.option("--name", required=True, help="Name in requests: lower-case letters, digits, - and _.")
@click.option("--title-zh", help="Chinese title.")
@click.option("--title-en", help="English title.")
@click.option("--abstract", default="", help="A sentence about the layer.")
@click.option("--owner", default=BUREAU, show_default=True, help="Agency that owns the data.")
@click.option("--classification", type=click.Choice(CLASSIFICATIONS), default="internal", show_default=True, help="Secrecy.")
@click.option("--attribution", default="", help="Credit line.")
@click.option("--currency", nargs=2, type=click.DateTime(["%Y-%m-%d"]), help="From and to: the dates the content was true.")
@click.option("--crs", help="CRS of files that state none, such as EPSG:4549.")
@click.option("--nodata", type=float, help="Value of cells without data, where the file states none.")
@click.option("--stretch", nargs=2, type=float, help="Low and high of 16-bit imagery; default: 2..98 percent of all sheets.")
@click.option("--encoding", help="Text encoding of Shapefiles that state none.")
@click.option("--key", metavar="FIELD", help="Field of vectors by whose values features are known for ever; default: their numbers in the file.")
@click.option("--lossless", is_flag=True, help="Keep imagery without JPEG.")
@click.option("--nearest", is_flag=True, help="Resample by nearest neighbour: scanned or coded rasters.")
@click.option("--unusual-heights", is_flag=True, help="Heights outside -500 .. 9000 m are meant.")
@click.option("--keep-going", is_flag=True, help="Publish the good files although others are rejected.")
@click.option("--registration", type=click.Choice(["node", "corner"]), default="node", show_default=True, help="What the corner of a text grid names.")
@click.option("--vertical-datum", help="What the heights of a DEM are above: a code of config/vertical_datums.csv, such as 1985.")
@click.option("--no-keep-delivered", "keep_delivered", flag_value=False, default=True, help="Do not keep a copy of each file as it was delivered.")
@click.option("--workers", type=click.IntRange(1), help="Processes; default: one a core.")
@click.option("--dask", metavar="URL", help="Work on a Dask cluster instead, such as tcp://scheduler:8786, which sees the same folders.")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.pass_obj
def layer_add(settings: Settings, product, classification, currency, stretch, workers, paths, **options):
    """Check files or folders, take them into the store, and publish them as one edition.

    The files are never changed, and not needed afterwards. A job that is interrupted publishes nothing;
    the same command goes on where it was stopped.
    """
    from geoserver_app.ingesting import ingest

    try:
        edition = ingest(
            settings, product=product, classification=classification, currency=currency, stretch=stretch, workers=workers, paths=paths,
            console=Console(stderr=True), **options,
        )
    except KeyboardInterrupt:
        tell("interrupted, nothing published: the same command goes on where it was stopped", style="red")
        sys.exit(FAILED)
    click.echo(f"{edition.layer}@{edition.name}: {parts_of(edition)}")
    for sheet in opened(settings)[0].sheets(edition.edition_id):
        for step in sheet.lineage:
            if step.startswith("warning: "):
                tell(f"{sheet.source_name}: {step.removeprefix('warning: ')}", style="yellow")


@layer.command("check")
@click.option("--product", type=click.Choice([p.value for p in ProductType]), required=True, help="What the files are.")
@click.option("--name", required=True, help="Layer that they would be added to.")
@click.option("--edition", required=True, help="Edition that they would be added to.")
@click.option("--report", "folder", required=True, type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="Where report.html and report.json go.")
@click.option("--classification", type=click.Choice(CLASSIFICATIONS), default="internal", show_default=True, help="Secrecy.")
@click.option("--owner", default=BUREAU, show_default=True, help="Agency that owns the data.")
@click.option("--crs", help="CRS of files that state none, such as EPSG:4549.")
@click.option("--nodata", type=float, help="Value of cells without data, where the file states none.")
@click.option("--stretch", nargs=2, type=float, help="Low and high of 16-bit imagery; default: 2..98 percent of all sheets.")
@click.option("--encoding", help="Text encoding of Shapefiles that state none.")
@click.option("--key", metavar="FIELD", help="Field of vectors by whose values features are known for ever; default: their numbers in the file.")
@click.option("--lossless", is_flag=True, help="As the edition is kept.")
@click.option("--nearest", is_flag=True, help="As the edition is kept.")
@click.option("--unusual-heights", is_flag=True, help="Heights outside -500 .. 9000 m are meant.")
@click.option("--registration", type=click.Choice(["node", "corner"]), default="node", show_default=True, help="What the corner of a text grid names.")
@click.option("--seam-threshold", type=click.FloatRange(0), default=1.0, show_default=True, help="Metres of RMS between neighbouring DEM sheets that are a step.")
@click.option("--workers", type=click.IntRange(1), help="Processes; default: one a core.")
@click.option("--dask", metavar="URL", help="Work on a Dask cluster instead, such as tcp://scheduler:8786, which sees the same folders.")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.pass_obj
def layer_check(settings: Settings, folder, paths, **options):
    """Check files, folders, zips or s3://bucket/prefix as `layer add` would, write the report, and publish nothing.

    Ends with 1 where a file would be refused.
    """
    from geoserver_app.ingesting import check
    from layers.ingest.validation import State

    report = check(settings, folder, paths=paths, console=Console(stderr=True), **options)
    for sheet in report.sheets:
        if sheet.state is State.REFUSED:
            tell(f"{sheet.name}: {sheet.fault}: {sheet.mend}", style="red")
    counts = ", ".join(f"{report.count(state)} {state.value}" for state in State)
    click.echo(f"{report.layer}@{report.edition}: {counts}; {counted(len(report.gaps), 'hole')}, {counted(len(report.overlaps), 'overlap')}; see report.html")
    if report.count(State.REFUSED):
        sys.exit(FAILED)


def parts_of(edition) -> str:
    """What an edition is made of, in words."""
    if edition.product.is_raster:
        return counted(edition.sheet_count, "sheet")
    return f"{counted(len(edition.classes), 'class')}, {counted(sum(c.count for c in edition.classes), 'feature')}"


@layer.command("list")
@json_option
@click.pass_obj
def layer_list(settings: Settings, as_json):
    """Every layer and edition."""
    catalogue, _ = opened(settings)
    rows = [
        [layer.name, edition.name, layer.product.value, layer.title_zh, layer.owner, secrecy(layer), parts_of(edition)]
        for layer in catalogue.snapshot().layers.values() for edition in layer.editions
    ]
    table(["layer", "edition", "product", "title", "owner", "classification", "parts"], rows, as_json)


@layer.command("info")
@click.argument("name")
@json_option
@click.pass_obj
def layer_info(settings: Settings, name, as_json):
    """What is known of a layer, or of one edition (name@edition): CRS, bounds, resolution, sheets, lineage.

    NAME may also be a file that is to be added: what it says of itself.
    """
    if Path(name).is_file() or is_geodatabase(Path(name)):
        description = describe_file(Path(name))
    else:
        catalogue, _ = opened(settings)
        description = describe_layer(catalogue, layer_named(None, None, name))
    click.echo(json.dumps(description, ensure_ascii=False, indent=None if as_json else 2, default=str))


@layer.command("quarantined")
@json_option
@click.pass_obj
def layer_quarantined(settings: Settings, as_json):
    """VCT files that were delivered: what their heads say. They are not taken in and never served."""
    migrate(settings)
    database = connect(settings.database_url)
    rows = [[one.file_name, f"{one.layer}@{one.edition}", one.format, one.scale, one.extent, one.dated, one.bytes, one.checksum[:12]] for one in quarantined(database)]
    database.dispose()
    table(["file", "layer", "format", "scale", "extent", "dated", "bytes", "sha256"], rows, as_json)


@layer.command("remove")
@click.argument("name", callback=layer_named)
@click.option("--sheet", metavar="NUMBER", help="Only one sheet of the edition: its number, in any spelling, or its file name.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def layer_remove(settings: Settings, name, sheet, yes):
    """Take a layer, one edition (name@edition), or one sheet of it, out of the catalogue and delete what was made from it.

    What was delivered stays where it came from.
    """
    from geoserver_app.ingesting import remove, withdraw_sheet

    describe_layer(opened(settings)[0], name)
    if sheet:
        if not yes:
            click.confirm(f"withdraw sheet {sheet} of {name}?", abort=True)
        edition = withdraw_sheet(settings, name, sheet)
        click.echo(f"{edition.layer}@{edition.name}: {parts_of(edition)}")
        return
    if not yes:
        click.confirm(f"remove {name} and everything made from it?", abort=True)
    remove(settings, name)
    click.echo(f"{name} removed")



@click.group()
def division():
    """Administrative divisions, which agreements name by code."""


@division.command("import")
@click.option("--vintage", required=True, help="Year or date of the boundaries.")
@click.option("--code-field", help="Field that holds the code.")
@click.option("--name-field", help="Field that holds the name.")
@click.option("--crs", help="CRS of a file that states none, such as EPSG:4490.")
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.pass_obj
def division_import(settings: Settings, vintage, code_field, name_field, crs, path):
    """Read a boundary layer: polygons with a code (GB/T 2260) and a name, from every table of the file."""
    from layers.divisions import import_divisions

    catalogue, _ = opened(settings)
    count = import_divisions(catalogue, path, vintage, code_field=code_field, name_field=name_field, crs=crs)
    click.echo(f"{counted(count, 'division')} of {vintage}")


@division.command("list")
@click.option("--vintage", help="Only those of one vintage; without it, each at its latest.")
@json_option
@click.pass_obj
def division_list(settings: Settings, vintage, as_json):
    """Every division at its latest vintage, or those of one vintage."""
    catalogue, _ = opened(settings)
    table(["code", "name", "level", "vintage"], [list(each) for each in catalogue.divisions(vintage)], as_json)
