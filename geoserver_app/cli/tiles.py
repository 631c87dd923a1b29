"""`geoshare tiles`: draw tiles before they are asked for, and prove that they are there."""

import hashlib
import json
import re
import sys
from pathlib import Path

import click
import shapely
from rich.console import Console

from geoserver_app.cli.base import FAILED, InputInvalid, counted, json_option, layer_named, opened, table, tell
from geoserver_app.settings import Settings
from layers.errors import RowsInvalid
from layers.model import LayerName
from layers.rows import parse_rows
from tiles.errors import RenderFailed, SeedInvalid, TilesError
from tiles.grids import TILE_MATRIX_SETS

PLAIN_EVERY = 20
"""Lines of progress that a job writes into a pipe, at most."""


@click.group()
def tiles():
    """Tiles: seed, verify, status."""


def _zooms(_context, _parameter, text: str) -> tuple[int, ...]:
    """`6-14`, `6,8,10` or `12`."""
    if not re.fullmatch(r"\d{1,2}(-\d{1,2})?(,\d{1,2}(-\d{1,2})?)*", text):
        raise InputInvalid(f"`{text[:40]}` names no levels: write them like 6-14 or 6,8,10")
    found = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return tuple(sorted(found))


@tiles.command("seed")
@click.argument("name", callback=layer_named)
@click.option("--style", help="Style; default: the first of the layer.")
@click.option("--vector", is_flag=True, help="Vector tiles instead of pictures.")
@click.option("--attributes", help="Of vector tiles: those of the grants that they are for, as FIELD or CLASS.FIELD, comma between; default: all.")
@click.option("--rows", help="Of vector tiles: the row filter (CQL2) of the grants that they are for; default: all rows.")
@click.option("--tms", type=click.Choice(list(TILE_MATRIX_SETS)), default="WebMercatorQuad", show_default=True, help="Tile matrix set.")
@click.option("--zooms", callback=_zooms, required=True, help="Levels, such as 6-14.")
@click.option("--coverage", help="Division code; sheet numbers, comma between; W,S,E,N in degrees; or a file of WKT or GeoJSON (lon, lat). Default: all.")
@click.option("--manifest", type=click.Path(dir_okay=False, path_type=Path), help="Where to write it; default: in the data folder.")
@click.option("--workers", type=click.IntRange(0), help="Processes; default: one a core.")
@click.option("--dask", metavar="URL", help="Scheduler of a Dask cluster whose workers share the store and the cache.")
@click.pass_obj
def tiles_seed(settings: Settings, name, style, vector, attributes, rows, tms, zooms, coverage, manifest, workers, dask):
    """Draw the tiles of an area that are not there, and write a manifest of what there is then.

    May be stopped or killed at any moment: the same command goes on where it was. Nothing is drawn twice.
    """
    from geoserver_app.seeding import ShelfMaker
    from layers.ingest.executors import executor
    from tiles.seed import VECTORS, House, SeedTask, seed

    catalogue, edition = _edition(settings, name)
    if vector and style:
        raise InputInvalid("vector tiles have no style: leave out --style or --vector")
    if vector and dask:
        raise InputInvalid("vector tiles are made on this host, which knows the names of features: leave out --dask")
    try:
        task = SeedTask(
            edition=edition, style=VECTORS if vector else _style(settings, edition, style), tms_id=tms, zooms=zooms, area=_area(catalogue, coverage),
            attributes=tuple(attributes.split(",")) if attributes else None, rows=_rows(rows),
        )
    except SeedInvalid as error:
        raise InputInvalid(str(error)) from error
    target = manifest or settings.data / "seeds" / f"{edition.layer}@{edition.name}-{_named(task)}-{tms}.json"
    house = House(store=settings.store, cache=settings.cache, config=settings.config, shelf=ShelfMaker.of(settings) if vector else None)
    try:
        with _Progress() as told, executor(workers, len(zooms) * 64, dask=dask) as pool:
            made = seed(house, task, pool, told)
    except KeyboardInterrupt:
        tell("interrupted: the same command goes on where it was stopped", style="red")
        sys.exit(FAILED)
    except RenderFailed as error:
        tell(str(error), style="red")
        sys.exit(FAILED)
    except TilesError as error:
        raise InputInvalid(str(error)) from error
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(made.written(), "utf-8")
    rows = [[level.z, level.expected, level.present, level.blank] for level in made.levels]
    table(["level", "expected", "present", "blank"], rows, False)
    click.echo(f"manifest: {target}")
    if not made.is_complete:
        tell("not complete: the edition was changed meanwhile: run the same command again", style="red")
        sys.exit(FAILED)


@tiles.command("verify")
@click.argument("manifest", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
@click.pass_obj
def tiles_verify(settings: Settings, manifest, as_json):
    """Compare the cache with a manifest: is every tile there, are the bytes the same, is the edition still the one that was drawn?"""
    from geoserver_app.seeding import ShelfMaker
    from tiles.engine import Engine
    from tiles.seed import VECTORS, Manifest, verify

    try:
        told = Manifest.read(manifest)
    except SeedInvalid as error:
        raise InputInvalid(str(error)) from error
    _, edition = _edition(settings, f"{told.layer}@{told.edition}")
    engine = Engine(settings.store, settings.cache, settings.config)
    finding = verify(engine, told, edition, ShelfMaker.of(settings)(engine) if told.style == VECTORS else None)
    if as_json:
        click.echo(json.dumps({
            "stale": finding.is_stale, "missing": finding.missing_count, "some_missing": finding.missing, "altered_levels": finding.altered,
        }))
    else:
        if finding.is_stale:
            click.echo("stale: the edition has changed since: seed again")
        for place in finding.missing:
            click.echo(f"missing {place}")
        if finding.missing_count:
            click.echo(f"{counted(finding.missing_count, 'tile')} missing")
        for z in finding.altered:
            click.echo(f"level {z} holds other bytes than the manifest says")
        if finding.is_good:
            click.echo("complete")
    if not finding.is_good:
        sys.exit(FAILED)


@tiles.command("status")
@click.argument("name", callback=layer_named)
@json_option
@click.pass_obj
def tiles_status(settings: Settings, name, as_json):
    """How many tiles of an edition the cache holds, and their bytes, by style, set and level."""
    from tiles.seed import status

    _, edition = _edition(settings, name)
    rows = [[kept.style, kept.tms, kept.z, kept.tiles, kept.size] for kept in status(settings.cache, edition.edition_id)]
    table(["style", "set", "level", "tiles", "bytes"], rows, as_json)


def _edition(settings: Settings, name: str):
    catalogue, _ = opened(settings)
    found = catalogue.snapshot().find(LayerName.parse(name))
    if found is None:
        raise InputInvalid(f"there is no layer `{name}`: see `geoshare layer list`")
    return catalogue, found[1]


def _style(settings: Settings, edition, asked: str | None) -> str:
    from tiles.engine import Engine

    try:
        return Engine(settings.store, settings.cache, settings.config).style(edition, asked)
    except TilesError as error:
        raise InputInvalid(str(error)) from error


def _rows(text: str | None) -> str | None:
    if text:
        try:
            parse_rows(text)
        except RowsInvalid as error:
            raise InputInvalid(f"--rows: {error}") from error
    return text or None


def _named(task) -> str:
    """What tells the manifests of one edition and set apart."""
    if task.attributes is None and task.rows is None:
        return task.style
    return f"{task.style}-{hashlib.sha256(repr((task.attributes, task.rows)).encode()).hexdigest()[:8]}"


def _area(catalogue, coverage: str | None):
    """What `--coverage` names, in CRS84; None is everything."""
    from agreements.areas import area_of
    from geoserver_app.registering import CatalogueGazetteer

    if coverage is None:
        return None
    path = Path(coverage)
    if path.is_file():
        return _drawn(path)
    if re.fullmatch(r"-?[\d.]+(,-?[\d.]+){3}", coverage):
        west, south, east, north = map(float, coverage.split(","))
        if not (west < east and south < north):
            raise InputInvalid(f"`{coverage[:60]}` is no box: give west,south,east,north in degrees")
        return shapely.box(west, south, east, north)
    named = {"divisions": coverage.split(",")} if re.fullmatch(r"\d{2,12}(,\d{2,12})*", coverage) else {"sheets": coverage.split(",")}
    return area_of(named, CatalogueGazetteer(catalogue)).geometry


def _drawn(path: Path):
    text = path.read_text("utf-8").strip()
    try:
        shape = shapely.from_geojson(text) if text.startswith("{") else shapely.from_wkt(text)
    except shapely.errors.GEOSException as error:
        raise InputInvalid(f"`{path.name}` holds neither WKT nor GeoJSON: give polygons in lon, lat degrees") from error
    if not shapely.get_dimensions(shape) == 2 and not shape.geom_type == "GeometryCollection":
        raise InputInvalid(f"`{path.name}` holds no polygon: give polygons in lon, lat degrees")
    return shapely.make_valid(shape)


class _Progress:
    """A bar on a terminal; in a pipe a line for each twentieth of the work."""

    def __init__(self):
        self.console, self.bar, self.task, self.told = Console(stderr=True), None, None, -1

    def __enter__(self):
        if self.console.is_terminal:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self.bar = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=self.console)
            self.bar.start()
        return self._tell

    def __exit__(self, *_):
        if self.bar:
            self.bar.stop()

    def _tell(self, done: int, total: int, what: str) -> None:
        if self.bar:
            self.task = self.task if self.task is not None else self.bar.add_task("", total=total)
            self.bar.update(self.task, completed=done, total=total, description=what)
        elif done * PLAIN_EVERY // total > self.told:
            self.told = done * PLAIN_EVERY // total
            self.console.print(f"  {done}/{total} meta tiles, {what}", highlight=False, markup=False)
