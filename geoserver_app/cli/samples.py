"""`geoshare agreement samples`."""

import click

from geoserver_app.cli.agreements import agreement
from geoserver_app.cli.base import opened
from geoserver_app.settings import Settings


@agreement.command("samples")
@click.pass_obj
def agreement_samples(settings: Settings):
    """Put the sample agreements of 22 departments and cities in force, with their parties: for trials, on the divisions of the demo."""
    from geoserver_app.samples import load_samples

    catalogue, register = opened(settings)
    for one in load_samples(catalogue, register, settings.config):
        click.echo(f"{one.agreement_id} version {one.version} in force for {one.grantee}")
