"""The `geoshare` commands: each is a few lines around functions that tests call. Results on stdout, talk on stderr.

Exit codes: 0 done, 1 failed (try again, or see to the machine), 2 denied (explain alone), 3 the input is invalid.
"""

import json
import sys
from datetime import datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agreements.errors import AgreementsError, RegisterUnavailable
from agreements.model import BUREAU, Effect, Operation
from geoserver_app.database import DatabaseUnavailable
from geoserver_app.describe import describe_file, describe_layer, secrecy, standing_of
from geoserver_app.settings import CLASSIFICATIONS, PortInUse, Settings, SettingsInvalid, check_public_address, load_settings
from layers.errors import CatalogueUnavailable, EditionOutpaced, IngestBusy, LayersError
from layers.model import LayerName, ProductType

FAILED, DENIED, INVALID = 1, 2, 3
FAILURES = (CatalogueUnavailable, RegisterUnavailable, DatabaseUnavailable, EditionOutpaced, IngestBusy, PortInUse)
"""Nothing is wrong with what was typed."""

WIDE = 1000
"""Columns of a table in a pipe: no line is ever broken."""


class InputInvalid(Exception):
    """What was typed can't be meant; one sentence."""


class Group(click.Group):
    """Commands whose faults are told as one sentence, without a traceback."""

    def invoke(self, context):
        try:
            return super().invoke(context)
        except click.UsageError as error:
            error.exit_code = INVALID           # click says 2, which is "denied" here
            raise
        except FAILURES as error:
            tell(str(error), style="red")
            context.exit(FAILED)
        except (LayersError, AgreementsError, SettingsInvalid, InputInvalid) as error:
            tell(str(error), style="red")
            context.exit(INVALID)
        except OSError as error:
            tell(f"{f'`{Path(error.filename).name}`: ' if isinstance(error.filename, str) else ''}{error.strerror or error}", style="red")
            context.exit(FAILED)


def tell(sentence: str, style: str | None = None) -> None:
    """Talk, as it is: what is told may hold brackets that rich would take for markup."""
    Console(stderr=True).print(sentence, style=style, markup=False, highlight=False, soft_wrap=True)


@click.group(cls=Group)
@click.version_option(package_name="geoshare")
@click.pass_context
def main(context):
    """Share a surveying bureau's base maps exactly as its agreements grant."""
    context.obj = load_settings()


def table(headings: list[str], rows: list[list], as_json: bool) -> None:
    """Rows for people, or for scripts with --json."""
    if as_json:
        click.echo(json.dumps([dict(zip(headings, row, strict=True)) for row in rows], ensure_ascii=False, default=str))
        return
    shown = Table(*headings, box=None, pad_edge=False)
    for row in rows:
        shown.add_row(*(Text("" if value is None else str(value)) for value in row))
    (Console() if sys.stdout.isatty() else Console(width=WIDE)).print(shown)


def opened(settings: Settings):
    """Catalogue and register over a database of the newest shape."""
    from agreements.register import SqlRegister
    from geoserver_app.database import connect, migrate
    from layers.catalogue import SqlCatalogue

    migrate(settings)
    database = connect(settings.database_url)
    return SqlCatalogue(database), SqlRegister(database)


def layer_named(_context, _parameter, name):
    """`name`, or each of several, as a layer's name can be."""
    for one in (name,) if isinstance(name, str) else name:
        try:
            LayerName.parse(one)
        except ValueError as error:
            raise InputInvalid(str(error)) from error
    return name


def last_day(_context, parameter, day: datetime | None) -> datetime | None:
    """The moment at which `day` is over in Asia/Shanghai; a day that is over already can't be meant."""
    from geoserver_app.clock import end_of_day, now

    if day is None:
        return None
    end = end_of_day(day.date())
    if end <= now():
        raise InputInvalid(f"{parameter.opts[0]} {day.date()} is over already: give today or a later day")
    return end


def counted(number: int, noun: str) -> str:
    """
    >>> counted(1, "sheet"), counted(2, "sheet"), counted(2, "class")
    ('1 sheet', '2 sheets', '2 classes')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}{'es' if noun.endswith('s') else 's'}"


json_option = click.option("--json", "as_json", is_flag=True, help="For scripts: JSON on stdout.")


# -- serve and demo

@main.command()
@click.option("--bind", help="Address to listen on; 0.0.0.0 in a container.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on.")
@click.option("--workers", type=click.IntRange(1), help="Processes.")
@click.pass_obj
def serve(settings: Settings, bind, port, workers):
    """Serve the catalogue. What a container or a bureau starts."""
    from geoserver_app.database import migrate
    from geoserver_app.server import serve as run

    changes = {name: value for name, value in (("bind", bind), ("port", port), ("workers", workers)) if value is not None}
    if ({"bind", "port"} & changes.keys()) and settings.public_base_url == f"http://{settings.bind}:{settings.port}":
        changes["public_base_url"] = f"http://{bind or settings.bind}:{port or settings.port}"
    settings = settings.replaced(**changes)
    check_public_address(settings)
    migrate(settings)
    tell(f"serving at {settings.public_base_url}")
    run(settings)


@main.command()
@click.option("--port", type=click.IntRange(1, 65535), default=8080, show_default=True, help="Port to listen on.")
@click.option("--build-only", is_flag=True, help="Build the demo and stop.")
@click.pass_obj
def demo(settings: Settings, port, build_only):
    """Build the model county and its three agencies once, then serve them."""
    from geoserver_app.demo import build_demo, print_addresses
    from geoserver_app.server import check_port
    from geoserver_app.server import serve as run

    settings = settings.replaced(port=port, public_base_url=f"http://{settings.bind}:{port}", demo=True)
    if not build_only:
        check_port(settings)
    console = Console(stderr=True)
    description = build_demo(settings, console)
    print_addresses(description, console)
    if not build_only:
        run(settings)


# -- layers

@main.group()
def layer():
    """Layers: add, list, info, remove."""


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
@click.option("--lossless", is_flag=True, help="Keep imagery without JPEG.")
@click.option("--nearest", is_flag=True, help="Resample by nearest neighbour: scanned or coded rasters.")
@click.option("--unusual-heights", is_flag=True, help="Heights outside -500 .. 9000 m are meant.")
@click.option("--keep-going", is_flag=True, help="Publish the good files although others are rejected.")
@click.option("--workers", type=click.IntRange(1), help="Processes; default: one a core.")
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
    if Path(name).is_file():
        description = describe_file(Path(name))
    else:
        catalogue, _ = opened(settings)
        description = describe_layer(catalogue, layer_named(None, None, name))
    click.echo(json.dumps(description, ensure_ascii=False, indent=None if as_json else 2, default=str))


@layer.command("remove")
@click.argument("name", callback=layer_named)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def layer_remove(settings: Settings, name, yes):
    """Take a layer, or one edition (name@edition), out of the catalogue and delete what was made from it. Delivered files stay."""
    from geoserver_app.ingesting import remove

    describe_layer(opened(settings)[0], name)
    if not yes:
        click.confirm(f"remove {name} and everything made from it?", abort=True)
    remove(settings, name)
    click.echo(f"{name} removed")


# -- divisions

@main.group()
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
@json_option
@click.pass_obj
def division_list(settings: Settings, as_json):
    """Every division at its latest vintage."""
    catalogue, _ = opened(settings)
    table(["code", "name", "level", "vintage"], [list(each) for each in catalogue.divisions()], as_json)


# -- agencies and keys

@main.group()
def agency():
    """Agencies: the parties of agreements."""


@agency.command("add")
@click.argument("agency_id")
@click.option("--name-zh", required=True, help="Chinese name.")
@click.option("--name-en", required=True, help="English name.")
@click.pass_obj
def agency_add(settings: Settings, agency_id, name_zh, name_en):
    """Register an agency, or change its names."""
    from agreements.model import Agency

    _, register = opened(settings)
    try:
        register.add_agency(Agency(agency_id=agency_id, name_zh=name_zh, name_en=name_en))
    except ValueError as error:
        raise InputInvalid(str(error)) from error
    click.echo(f"{agency_id}: {name_zh} {name_en}")


@agency.command("list")
@json_option
@click.pass_obj
def agency_list(settings: Settings, as_json):
    """Every agency."""
    _, register = opened(settings)
    table(["agency", "name", "english", "active"], [[a.agency_id, a.name_zh, a.name_en, a.is_active] for a in register.agencies()], as_json)


@main.group()
def key():
    """Keys: credentials of an agency, shown once."""


@key.command("issue")
@click.argument("agency_id")
@click.option("--label", default="", help="What it is for.")
@click.option("--expires", type=click.DateTime(["%Y-%m-%d"]), callback=last_day, help="Last day (Asia/Shanghai) on which it counts.")
@click.pass_obj
def key_issue(settings: Settings, agency_id, label, expires):
    """Issue a key. It is printed once and kept only as a digest."""
    _, register = opened(settings)
    issued, secret = register.issue_key(agency_id, label=label, expires=expires)
    tell(f"{issued.key_id} for {agency_id}; keep it now, it is not shown again:")
    click.echo(secret)


@key.command("revoke")
@click.argument("key_id")
@click.pass_obj
def key_revoke(settings: Settings, key_id):
    """Revoke a key: it stops counting within two seconds."""
    _, register = opened(settings)
    register.revoke_key(key_id)
    click.echo(f"{key_id} revoked")


@key.command("list")
@json_option
@click.pass_obj
def key_list(settings: Settings, as_json):
    """Every key by its id: never the key itself."""
    _, register = opened(settings)
    rows = [[k.key_id, k.agency_id, k.label, k.expires, k.revoked] for k in register.snapshot().keys.values()]
    table(["key", "agency", "label", "expires", "revoked"], rows, as_json)


# -- agreements

@main.group()
def agreement():
    """Agreements: check, register, suspend, resume, list."""


documents = click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))


@agreement.command("check")
@documents
@click.pass_obj
def agreement_check(settings: Settings, paths):
    """Read documents and tell every fault, by line and field. Registers nothing."""
    from geoserver_app.registering import missing_layers, read_agreements, rehearse

    catalogue, register = opened(settings)
    read = read_agreements(catalogue, paths)
    rehearse(register, read)
    warn_of(missing_layers(catalogue, read))
    for agreement, _ in read:
        grants = counted(len(agreement.grants), "grant")
        click.echo(f"{agreement.agreement_id} version {agreement.version}: {grants} to {agreement.grantee}")


def warn_of(missing) -> None:
    for agreement_id, name in missing:
        tell(
            f"{agreement_id}: layer `{name}` is not in the catalogue; the grant counts as soon as it is, so see that it is not misspelt", style="yellow",
        )


@agreement.command("register")
@documents
@click.pass_obj
def agreement_register(settings: Settings, paths):
    """Check documents, then put all of them in force; with a fault in any, none."""
    from geoserver_app.registering import missing_layers, read_agreements, rehearse

    catalogue, register = opened(settings)
    read = read_agreements(catalogue, paths)
    rehearse(register, read)
    warn_of(missing_layers(catalogue, read))
    for agreement, text in read:
        register.register(agreement, text)
        click.echo(f"{agreement.agreement_id} version {agreement.version} in force for {agreement.grantee}")


@agreement.command("suspend")
@click.argument("agreement_id")
@click.option("--reason", required=True, help="Why; the agency is told.")
@click.option("--layer", "layers", multiple=True, callback=layer_named, help="Only this layer; may be given several times.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), callback=last_day, help="Last day of the suspension.")
@click.pass_obj
def agreement_suspend(settings: Settings, agreement_id, reason, layers, until):
    """Stop an agreement, or some of its layers: everywhere within two seconds."""
    catalogue, register = opened(settings)
    for name in layers:
        describe_layer(catalogue, name)         # a misspelt layer would go on being served
    register.suspend(agreement_id, reason=reason, layers=frozenset(layers) or None, until=until)
    what = f" for {', '.join(layers)}" if layers else ""
    click.echo(f"{agreement_id} suspended{what}: {reason}")


@agreement.command("resume")
@click.argument("agreement_id")
@click.pass_obj
def agreement_resume(settings: Settings, agreement_id):
    """End the suspensions of an agreement that were added by `suspend`. Those its document holds stay."""
    _, register = opened(settings)
    ended = register.resume(agreement_id)
    click.echo(f"{agreement_id}: {counted(ended, 'suspension')} ended")


@agreement.command("list")
@json_option
@click.pass_obj
def agreement_list(settings: Settings, as_json):
    """Every version of every agreement as it stands now: parties, state, term, what is suspended."""
    from geoserver_app.clock import now

    _, register = opened(settings)
    rows = [
        [a.agreement_id, a.version, a.grantor, a.grantee, *standing_of(a, now()), a.term.start, a.term.end, len(a.grants), a.title]
        for a in register.list()
    ]
    table(["agreement", "version", "grantor", "grantee", "state", "suspended", "from", "until", "grants", "title"], rows, as_json)


# -- explain

@main.command()
@click.option("--agency", "agency_id", required=True, help="Who asks.")
@click.option("--layer", "layer_name", required=True, callback=layer_named, help="Layer, or layer@edition.")
@click.option("--operation", type=click.Choice([o.value for o in Operation]), default="GetMap", show_default=True, help="What is asked.")
@click.option("--bounds", help="west,south,east,north in degrees; without it, the whole layer.")
@click.option("--scale", type=click.FloatRange(min=0, min_open=True), help="Scale denominator, such as 10000.")
@click.option("--style", help="Style asked for.")
@click.option("--format", "media_type", help="Media type, such as image/png.")
@click.option("--crs", help="CRS, such as EPSG:4549.")
@click.option("--attribute", "attributes", multiple=True, help="An attribute the request names.")
@click.option("--at", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]), help="Moment (Asia/Shanghai); default now.")
@click.option("--language", type=click.Choice(["zh", "en"]), default="en", show_default=True)
@json_option
@click.pass_obj
def explain(settings: Settings, agency_id, layer_name, operation, bounds, scale, style, media_type, crs, attributes, at: datetime | None, language, as_json):
    """Why a request is permitted, clipped or denied: by agreement and clause. Exit code 2 where it is denied."""
    from geoserver_app.explaining import QuestionInvalid
    from geoserver_app.explaining import explain as explained

    catalogue, register = opened(settings)
    try:
        told = explained(
            catalogue, register, agency=agency_id, layer=layer_name, operation=Operation(operation), bounds=bounds, scale=scale, style=style,
            media_type=media_type, crs=crs, attributes=frozenset(attributes), at=at, language=language,
        )
    except QuestionInvalid as error:
        raise InputInvalid(str(error)) from error
    click.echo(json.dumps(told.as_json(), ensure_ascii=False) if as_json else told.as_text())
    if told.effect is Effect.DENY:
        sys.exit(DENIED)


if __name__ == "__main__":
    main()
