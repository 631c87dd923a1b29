"""`geoshare agreement`."""


from pathlib import Path

import click

from geoserver_app.cli.base import counted, json_option, last_day, layer_named, opened, table, tell
from geoserver_app.describe import describe_layer, standing_of
from geoserver_app.settings import Settings


@click.group()
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
