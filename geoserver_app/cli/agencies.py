"""`geoshare agency` and `geoshare key`."""

import click

from geoserver_app.cli.base import InputInvalid, json_option, last_day, noted, opened, table, tell
from geoserver_app.settings import Settings


@click.group()
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
    noted(settings, "agencies.put", agency_id)
    click.echo(f"{agency_id}: {name_zh} {name_en}")


@agency.command("list")
@json_option
@click.pass_obj
def agency_list(settings: Settings, as_json):
    """Every agency."""
    _, register = opened(settings)
    table(["agency", "name", "english", "active"], [[a.agency_id, a.name_zh, a.name_en, a.is_active] for a in register.agencies()], as_json)


@click.group()
def key():
    """Keys: credentials of an agency, shown once."""


@key.command("issue")
@click.argument("agency_id")
@click.option("--label", default="", help="What it is for.")
@click.option("--app", default="", help="The application it belongs to, where agreements name applications.")
@click.option("--purpose", default="", help="A code of config/purposes.csv, where agreements name purposes.")
@click.option("--network", "networks", multiple=True, help="CIDR block from which it counts; may be given several times. None is anywhere.")
@click.option("--referer", "referers", multiple=True, help="Origin of pages that may use it in an address, such as https://maps.example.gov.")
@click.option("--origin", "origins", multiple=True, help="Origin whose scripts may read what it is answered (CORS).")
@click.option("--expires", type=click.DateTime(["%Y-%m-%d"]), callback=last_day, help="Last day (Asia/Shanghai) on which it counts.")
@click.pass_obj
def key_issue(settings: Settings, agency_id, label, app, purpose, networks, referers, origins, expires):
    """Issue a key. It is printed once and kept only as a digest."""
    from geoserver_app.purposes import load_purposes

    if purpose and purpose not in (known := load_purposes(settings.config)):
        raise InputInvalid(f"`{purpose}` is no purpose: give one of {', '.join(known)}")
    _, register = opened(settings)
    try:
        issued, secret = register.issue_key(
            agency_id, label=label, expires=expires, app=app, purpose=purpose, networks=frozenset(networks) or None,
            referers=frozenset(referers) or None, origins=frozenset(origins),
        )
    except ValueError as error:
        raise InputInvalid(str(error)) from error
    noted(settings, "keys.issue", issued.key_id)
    tell(f"{issued.key_id} for {agency_id}; keep it now, it is not shown again:")
    click.echo(secret)


@key.command("revoke")
@click.argument("key_id")
@click.pass_obj
def key_revoke(settings: Settings, key_id):
    """Revoke a key: it stops counting within two seconds."""
    _, register = opened(settings)
    register.revoke_key(key_id)
    noted(settings, "keys.revoke", key_id)
    click.echo(f"{key_id} revoked")


@key.command("list")
@json_option
@click.pass_obj
def key_list(settings: Settings, as_json):
    """Every key by its id: never the key itself."""
    _, register = opened(settings)
    rows = [
        [k.key_id, k.agency_id, k.label, k.app, k.purpose, *map(_joined, (k.networks, k.referers, k.origins)), k.expires, k.revoked]
        for k in register.snapshot().keys.values()
    ]
    table(["key", "agency", "label", "app", "purpose", "networks", "referers", "origins", "expires", "revoked"], rows, as_json)


def _joined(values: frozenset[str] | None) -> str:
    return ", ".join(sorted(values or ()))
