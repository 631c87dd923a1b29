"""The `geoshare` commands: each is a few lines around functions that tests call. Results on stdout, talk on stderr.

Exit codes: 0 done, 1 failed (try again, or see to the machine), 2 denied (explain alone), 3 the input is invalid.
"""

import click

from geoserver_app.cli.agencies import agency, key
from geoserver_app.cli.agreements import agreement
from geoserver_app.cli.audit import audit
from geoserver_app.cli.base import Group
from geoserver_app.cli.boundaries import division_changes  # noqa: F401  (its commands add themselves to `division`)
from geoserver_app.cli.contributions import contribution, notices
from geoserver_app.cli.corrections import correction
from geoserver_app.cli.documents import agreement_text  # noqa: F401  (its commands add themselves to `agreement`)
from geoserver_app.cli.explaining import explain
from geoserver_app.cli.housekeeping import tasks, tick, workday
from geoserver_app.cli.layers import division, layer
from geoserver_app.cli.lifecycle import agreement_draft  # noqa: F401  (its commands add themselves to `agreement`)
from geoserver_app.cli.packages import package, work
from geoserver_app.cli.people import person
from geoserver_app.cli.quota import quota
from geoserver_app.cli.review import review
from geoserver_app.cli.samples import agreement_samples  # noqa: F401  (adds itself to `agreement`)
from geoserver_app.cli.serving import demo, serve
from geoserver_app.cli.sheets import lineage, sheet
from geoserver_app.cli.submissions import submission
from geoserver_app.cli.tiles import tiles
from geoserver_app.settings import load_settings


@click.group(cls=Group)
@click.version_option(package_name="geoshare")
@click.pass_context
def main(context):
    """Share a surveying bureau's base maps exactly as its agreements grant."""
    context.obj = load_settings()


for command in (serve, demo, layer, sheet, lineage, division, tiles, agency, key, person, agreement, explain, audit, contribution, correction, submission, notices, quota, review, tasks, tick, workday, package, work):
    main.add_command(command)
