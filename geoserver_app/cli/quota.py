"""`geoshare quota`: how the limits of an agreement stand, and what to do when its counters can't be believed."""

from datetime import datetime

import click

from geoserver_app.cli.base import InputInvalid, json_option, noted, opened, table, tell
from geoserver_app.settings import Settings


@click.group()
def quota():
    """Quotas: how they stand, and their counters."""


@quota.command("show")
@click.argument("agreement_id")
@json_option
@click.pass_obj
def quota_show(settings: Settings, agreement_id, as_json):
    """How each limit of an agreement's quota stands now: over all its keys, in its day, its month and its term (Asia/Shanghai)."""
    from geoserver_app.clock import SHANGHAI, now

    _, register = opened(settings)
    usage = meter_of(settings).usage(newest(register, agreement_id), now())
    if not usage and not as_json:
        tell(f"{agreement_id} has no quota: nothing is counted")
        return
    rows = [
        [
            one.name, _number(one.used), _number(one.limit), _number(one.remaining),
            one.resets_at and datetime.fromtimestamp(int(one.resets_at), SHANGHAI),
        ]
        for one in usage
    ]
    table(["limit", "used", "of", "remaining", "begins anew"], rows, as_json)


@quota.command("restart")
@click.argument("agreement_id")
@click.option("--reason", required=True, help="Why; kept in the decision record.")
@click.pass_obj
def quota_restart(settings: Settings, agreement_id, reason):
    """Begin the counts of an agreement anew: for counters that are damaged or gone, and can't be brought back from a backup.

    What is there is set aside, not deleted. The ground of its exports is counted again from its own log.
    """
    from geoserver_app.clock import now

    _, register = opened(settings)
    newest(register, agreement_id)
    if not reason.strip():
        raise InputInvalid("--reason is empty: say why, for whoever reads the record")
    noted(settings, "quota.restart", agreement_id, reason=" ".join(reason.split()))
    meter_of(settings).restart(agreement_id, now())
    click.echo(f"{agreement_id}: its counts begin anew")


def meter_of(settings: Settings):
    from geoserver_app import wiring
    from geoserver_app.database import connect

    return wiring.meter_of(settings, connect(settings.database_url))


def newest(register, agreement_id: str):
    """The newest version that ever counted. Raises AgreementNotDefined."""
    from agreements.errors import AgreementNotDefined
    from agreements.life.lifecycle import COUNTING

    versions = [one for one in register.list() if one.agreement_id == agreement_id]
    if not versions:
        raise AgreementNotDefined(agreement_id)
    return max([one for one in versions if one.state in COUNTING] or versions, key=lambda one: one.version)


def _number(value: float) -> int | float:
    return int(value) if float(value).is_integer() else round(value, 6)
