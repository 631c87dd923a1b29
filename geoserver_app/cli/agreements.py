"""`geoshare agreement`."""


from pathlib import Path

import click

from geoserver_app.cli.acting import acting, perhaps_as_option, stdin_option
from geoserver_app.cli.base import counted, json_option, last_day, layer_named, noted, opened, table, tell
from geoserver_app.describe import describe_layer, standing_of
from geoserver_app.settings import Settings


@click.group()
def agreement():
    """Agreements: from the draft to the archive, by people; or registered at once, where they are in force already."""


documents = click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))


@agreement.command("check")
@documents
@click.pass_obj
def agreement_check(settings: Settings, paths):
    """Read documents and tell every fault, by line and field. Registers nothing."""
    from geoserver_app.registering import doubtful_terms, missing_layers, read_agreements, rehearse

    catalogue, register = opened(settings)
    read = read_agreements(catalogue, paths)
    rehearse(register, read)
    warn_of(missing_layers(catalogue, read))
    for sentence in doubtful_terms(catalogue, settings.store, read):
        tell(sentence, style="yellow")
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
    """Check documents of agreements that are in force already, then put all of them in force here; with a fault in any, none.

    What is still to be agreed on begins with `geoshare agreement draft`.
    """
    from geoserver_app.registering import doubtful_terms, missing_layers, read_agreements, rehearse

    catalogue, register = opened(settings)
    read = read_agreements(catalogue, paths)
    rehearse(register, read)
    warn_of(missing_layers(catalogue, read))
    for sentence in doubtful_terms(catalogue, settings.store, read):
        tell(sentence, style="yellow")
    for agreement, text in read:
        register.register(agreement, text)
        noted(settings, "agreements.import", f"{agreement.agreement_id}/{agreement.version}")
        click.echo(f"{agreement.agreement_id} version {agreement.version} in force for {agreement.grantee}")


@agreement.command("suspend")
@click.argument("agreement_id")
@click.option("--reason", required=True, help="Why; the agency is told.")
@click.option("--layer", "layers", multiple=True, callback=layer_named, help="Only this layer; may be given several times.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), callback=last_day, help="Last day of the suspension.")
@perhaps_as_option
@stdin_option
@click.pass_obj
def agreement_suspend(settings: Settings, agreement_id, reason, layers, until, login, from_stdin):
    """Stop an agreement, or some of its layers: everywhere within two seconds."""
    catalogue, register = opened(settings)
    for name in layers:
        describe_layer(catalogue, name)         # a misspelt layer would go on being served
    actor = acting(settings, login, from_stdin)
    register.suspend(agreement_id, reason=reason, layers=frozenset(layers) or None, until=until, actor=actor)
    noted(settings, "agreements.suspend", agreement_id, login or "operator")
    what = f" for {', '.join(layers)}" if layers else ""
    click.echo(f"{agreement_id} suspended{what}: {reason}")


@agreement.command("resume")
@click.argument("agreement_id")
@click.option("--comment", default="", help="A remark for the history.")
@perhaps_as_option
@stdin_option
@click.pass_obj
def agreement_resume(settings: Settings, agreement_id, comment, login, from_stdin):
    """End the suspensions of an agreement that were added by `suspend`. Those its document holds stay."""
    _, register = opened(settings)
    actor = acting(settings, login, from_stdin)
    ended = register.resume(agreement_id, actor, comment)
    noted(settings, "agreements.resume", agreement_id, login or "operator")
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
