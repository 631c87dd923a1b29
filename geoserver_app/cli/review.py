"""`geoshare review`: papers for review meetings, and the indicators of the yearly evaluation."""

from contextlib import contextmanager
from datetime import date
from pathlib import Path

import click

from geoserver_app.cli.audit import as_date
from geoserver_app.cli.base import InputInvalid, json_option, noted, opened, table, tell
from geoserver_app.cli.contributions import open_book
from geoserver_app.settings import Settings


@click.group()
def review():
    """Review meetings and the yearly evaluation: what was used, refused and given back, with the SQL of every figure."""


def _period(function):
    for name, argument, told in (("--to", "last", "Last day, included."), ("--from", "first", "First day.")):
        function = click.option(name, argument, type=click.DateTime(["%Y-%m-%d"]), callback=as_date, required=True, help=told)(function)
    return function


def _paper(function):
    for option in (
        click.option("--out", "path", type=click.Path(dir_okay=False, path_type=Path), required=True, help="File to write; what is there is replaced."),
        click.option("--format", "form", type=click.Choice(["html", "pdf"]), help="Default: what the name of the file says, else html."),
        click.option("--language", type=click.Choice(["zh", "en"]), default="zh", show_default=True),
    ):
        function = option(function)
    return function


@review.command("pack")
@click.argument("agreement_id")
@_period
@_paper
@click.pass_obj
def review_pack(settings: Settings, agreement_id: str, first: date, last: date, path: Path, form: str, language: str):
    """The papers of one agreement, for its parties: it holds nothing of anybody else."""
    from geoserver_app.review.pack import agreement_pack

    with _archive(settings) as archive:
        _write(agreement_pack(archive, agreement_id, first, last, language), path, form)
    noted(settings, "review.pack", agreement_id)


@review.command("group")
@_period
@_paper
@click.pass_obj
def review_group(settings: Settings, first: date, last: date, path: Path, form: str, language: str):
    """The papers of the coordination group, over all agreements: for the bureau alone."""
    from geoserver_app.review.pack import group_pack

    with _archive(settings) as archive:
        _write(group_pack(archive, first, last, language), path, form)
    noted(settings, "review.group", f"{first}/{last}")


@review.command("indicators")
@click.option("--year", type=click.IntRange(2000, 2199), required=True, help="The year evaluated; of this year, up to today.")
@click.option("--agreement", "agreement_id", help="Of one agreement alone.")
@click.option("--out", "path", type=click.Path(dir_okay=False, path_type=Path), help="Write the paper of the evaluation, .html or .pdf, of all parties.")
@click.option("--language", type=click.Choice(["zh", "en"]), default="zh", show_default=True)
@json_option
@click.pass_obj
def review_indicators(settings: Settings, year: int, agreement_id: str | None, path: Path | None, language: str, as_json: bool):
    """The indicators of config/indicators.csv for every agreement, and the order of the parties."""
    from geoserver_app.review.indicators import days_of, evaluate, indicators_paper

    with _archive(settings) as archive:
        if path is not None:
            if agreement_id is not None:
                raise InputInvalid("--out is for all parties: leave out --agreement, or take `geoshare review pack`")
            _write(indicators_paper(archive, year, language), path, None)
            noted(settings, "review.indicators", str(year))
            return
        found = evaluate(archive, *days_of(year, archive.at), agreement_id)
    ranks = {row["agreement"]: (row["rank"], row["score"]) for row in found.scores}
    rows = [
        [*ranks[one.agreement_id], one.agreement_id, one.grantee, *(found.value(each.code, one.agreement_id) for each in found.indicators)]
        for one in sorted(found.agreements, key=lambda one: (ranks[one.agreement_id][0], one.agreement_id))
    ]
    table(["rank", "score", "agreement", "agency", *(one.code for one in found.indicators)], rows, as_json)


@contextmanager
def _archive(settings: Settings):
    from geoserver_app.audit.sql import QueryInvalid
    from geoserver_app.clock import now
    from geoserver_app.review.archive import Archive, ReviewInvalid
    from geoserver_app.review.indicators import IndicatorsInvalid
    from geoserver_app.tasks import Office, waiting

    catalogue, register = opened(settings)
    book, at = open_book(settings), now()
    office = Office(register=register, catalogue=catalogue, book=book, config=settings.config)
    try:
        yield Archive(
            decisions=settings.decisions, config=settings.config, register=register, catalogue=catalogue, book=book, at=at, tasks=waiting(office, at),
        )
    except (ReviewInvalid, IndicatorsInvalid, QueryInvalid) as error:
        raise InputInvalid(str(error)) from error


def _write(document, path: Path, form: str | None) -> None:
    from geoserver_app.papers import html, pdf

    form = form or ("pdf" if path.suffix.lower() == ".pdf" else "html")
    path.write_bytes(pdf.render(document) if form == "pdf" else html.render(document).encode())
    tell(f"{path.name} written")
