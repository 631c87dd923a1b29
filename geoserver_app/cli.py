"""The `geoshare` commands: each is a few lines around functions that tests call. Results on stdout, talk on stderr.

Exit codes: 0 done, 1 failed, 2 denied (explain) or wrong usage, 3 the input is invalid.
"""

import json
import sys
from datetime import datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from agreements.errors import AgreementsError
from agreements.model import BUREAU, Effect, Operation
from geoserver_app.settings import CLASSIFICATIONS, PortInUse, Settings, SettingsInvalid, load_settings
from layers.errors import LayersError
from layers.model import Classification, ProductType

INVALID = 3
talk = Console(stderr=True)
results = Console()


class Group(click.Group):
    """Commands whose faults are told as one sentence, without a traceback."""

    def invoke(self, context):
        try:
            return super().invoke(context)
        except (LayersError, AgreementsError, SettingsInvalid, PortInUse) as error:
            talk.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
            context.exit(INVALID)


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
        shown.add_row(*("" if value is None else str(value) for value in row))
    (results if sys.stdout.isatty() else Console(width=200)).print(shown)


def opened(settings: Settings):
    """Catalogue and register over a database of the newest shape."""
    from agreements.register import SqlRegister
    from geoserver_app.database import connect, migrate
    from layers.catalogue import SqlCatalogue

    migrate(settings)
    database = connect(settings.database_url)
    return SqlCatalogue(database), SqlRegister(database)


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
    migrate(settings)
    talk.print(f"serving at {settings.public_base_url}")
    run(settings)


@main.command()
@click.option("--port", type=click.IntRange(1, 65535), default=8080, show_default=True, help="Port to listen on.")
@click.option("--build-only", is_flag=True, help="Build the demo and stop.")
@click.pass_obj
def demo(settings: Settings, port, build_only):
    """Build the model county and its three agencies once, then serve them."""
    from geoserver_app.demo import build_demo, print_addresses
    from geoserver_app.server import check_port, serve as run

    settings = settings.replaced(port=port, public_base_url=f"http://{settings.bind}:{port}", demo=True)
    if not build_only:
        check_port(settings)
    description = build_demo(settings, talk)
    print_addresses(description, talk)
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
@click.option("--workers", type=click.IntRange(1), help="Processes; default: one a core.")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.pass_obj
def layer_add(settings: Settings, product, classification, currency, stretch, workers, paths, **options):
    """Check files or folders, take them into the store, and publish them as one edition."""
    from geoserver_app.ingesting import ingest

    edition = ingest(
        settings, product=product, classification=classification, currency=currency, stretch=stretch, workers=workers, paths=paths, console=talk, **options,
    )
    what = f"{edition.sheet_count} sheets" if edition.product.is_raster else f"{len(edition.classes)} classes, {sum(c.count for c in edition.classes)} features"
    click.echo(f"{edition.layer}@{edition.name}: {what}")


@layer.command("list")
@json_option
@click.pass_obj
def layer_list(settings: Settings, as_json):
    """Every layer and edition."""
    catalogue, _ = opened(settings)
    rows = [
        [layer.name, edition.name, layer.product.value, layer.title_zh, layer.owner, layer.classification.name.lower(), edition.sheet_count or len(edition.classes)]
        for layer in catalogue.snapshot().layers.values() for edition in layer.editions
    ]
    table(["layer", "edition", "product", "title", "owner", "classification", "parts"], rows, as_json)


@layer.command("info")
@click.argument("name")
@json_option
@click.pass_obj
def layer_info(settings: Settings, name, as_json):
    """What is known of a layer: CRS, bounds, resolution, sheets, lineage."""
    from geoserver_app.describe import describe_layer

    catalogue, _ = opened(settings)
    description = describe_layer(catalogue, name)
    click.echo(json.dumps(description, ensure_ascii=False, indent=None if as_json else 2, default=str))


@layer.command("remove")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def layer_remove(settings: Settings, name, yes):
    """Take a layer, or one edition (name@edition), out of the catalogue and delete what was made from it. Delivered files stay."""
    from geoserver_app.ingesting import remove

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
@click.argument("path", type=click.Path(path_type=Path))
@click.pass_obj
def division_import(settings: Settings, vintage, code_field, name_field, path):
    """Read a boundary layer."""
    from layers.divisions import import_divisions

    catalogue, _ = opened(settings)
    count = import_divisions(catalogue, path, vintage, code_field=code_field, name_field=name_field)
    click.echo(f"{count} divisions of {vintage}")


@division.command("list")
@json_option
@click.pass_obj
def division_list(settings: Settings, as_json):
    """Every division: code, name, vintage."""
    catalogue, _ = opened(settings)
    table(["code", "name", "vintage"], [[d.code, d.name, d.vintage] for d in catalogue.divisions()], as_json)


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
    register.add_agency(Agency(agency_id=agency_id, name_zh=name_zh, name_en=name_en))
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
@click.option("--expires", type=click.DateTime(["%Y-%m-%d"]), help="Last day (Asia/Shanghai) on which it counts.")
@click.pass_obj
def key_issue(settings: Settings, agency_id, label, expires):
    """Issue a key. It is printed once and kept only as a digest."""
    from geoserver_app.clock import end_of_day

    _, register = opened(settings)
    issued, secret = register.issue_key(agency_id, label=label, expires=end_of_day(expires.date()) if expires else None)
    talk.print(f"{issued.key_id} for {agency_id}; keep it now, it is not shown again:")
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
    from geoserver_app.registering import read_agreements

    catalogue, _ = opened(settings)
    for agreement, _ in read_agreements(catalogue, paths):
        click.echo(f"{agreement.agreement_id} version {agreement.version}: {len(agreement.grants)} grants to {agreement.grantee}")


@agreement.command("register")
@documents
@click.pass_obj
def agreement_register(settings: Settings, paths):
    """Check documents, then put all of them in force; with a fault in any, none."""
    from geoserver_app.registering import read_agreements

    catalogue, register = opened(settings)
    for agreement, text in read_agreements(catalogue, paths):
        register.register(agreement, text)
        click.echo(f"{agreement.agreement_id} version {agreement.version} in force for {agreement.grantee}")


@agreement.command("suspend")
@click.argument("agreement_id")
@click.option("--reason", required=True, help="Why; the agency is told.")
@click.option("--layer", "layers", multiple=True, help="Only this layer; may be given several times.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="Last day of the suspension.")
@click.pass_obj
def agreement_suspend(settings: Settings, agreement_id, reason, layers, until):
    """Stop an agreement, or some of its layers: everywhere within two seconds."""
    from geoserver_app.clock import end_of_day

    _, register = opened(settings)
    register.suspend(agreement_id, reason=reason, layers=frozenset(layers) or None, until=end_of_day(until.date()) if until else None)
    click.echo(f"{agreement_id} suspended: {reason}")


@agreement.command("resume")
@click.argument("agreement_id")
@click.pass_obj
def agreement_resume(settings: Settings, agreement_id):
    """End the suspensions of an agreement."""
    _, register = opened(settings)
    register.resume(agreement_id)
    click.echo(f"{agreement_id} resumed")


@agreement.command("list")
@json_option
@click.pass_obj
def agreement_list(settings: Settings, as_json):
    """Every agreement: parties, state, term."""
    _, register = opened(settings)
    rows = [
        [a.agreement_id, a.version, a.grantor, a.grantee, a.state.value, a.term.start, a.term.end, len(a.grants), a.title]
        for held in register.snapshot().agreements.values() for a in held
    ]
    table(["agreement", "version", "grantor", "grantee", "state", "from", "until", "grants", "title"], rows, as_json)


# -- explain

@main.command()
@click.option("--agency", "agency_id", required=True, help="Who asks.")
@click.option("--layer", "layer_name", required=True, help="Layer, or layer@edition.")
@click.option("--operation", type=click.Choice([o.value for o in Operation]), default="GetMap", show_default=True, help="What is asked.")
@click.option("--bounds", help="west,south,east,north in degrees; without it, the whole layer.")
@click.option("--scale", type=float, help="Scale denominator, such as 10000.")
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
    from geoserver_app.explaining import explain as explained

    catalogue, register = opened(settings)
    told = explained(
        catalogue, register, agency=agency_id, layer=layer_name, operation=Operation(operation), bounds=bounds, scale=scale, style=style,
        media_type=media_type, crs=crs, attributes=frozenset(attributes), at=at, language=language,
    )
    click.echo(json.dumps(told.as_json(), ensure_ascii=False) if as_json else told.as_text())
    if told.effect is Effect.DENY:
        sys.exit(2)


if __name__ == "__main__":
    main()
