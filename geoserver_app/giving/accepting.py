"""An approved dataset becomes an edition of its giver's layer: published, entered as passed, and accepted in one transaction, or none of it.

The edition belongs to the agency that gave it: nobody sees it, the bureau's own agency included, unless an agreement that this agency grants says so. Its
sheets tell where it came from, its layer under which terms.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import date
from pathlib import Path

import sqlalchemy as sa

from geoserver_app.clock import SHANGHAI
from geoserver_app.giving.asking import SubmissionInvalid
from geoserver_app.giving.book import SubmissionBook
from geoserver_app.giving.deciding import both, passed, tell
from geoserver_app.giving.submissions import Move, Submission, SubmissionState
from geoserver_app.ingesting import ingest
from geoserver_app.overlays.publishing import fitting
from geoserver_app.wiring import Services
from layers.catalogue import SqlCatalogue
from layers.model import Edition, Layer, LayerName, ProductType, Sheet


class Together(SqlCatalogue):
    """A catalogue that writes more in the transaction in which it publishes: seen with all of it, or not at all."""

    def __init__(self, database: sa.Engine, within: Callable[[sa.Connection, Edition], None], change: Callable[[Edition, Sheet], tuple[Edition, Sheet]]):
        super().__init__(database)
        self._within, self._change = within, change

    def publish(self, layer: Layer, edition: Edition, sheets: Iterable[Sheet]) -> Edition:
        edition, sheets = self._change(edition, tuple(sheets))
        with self._writing() as connection:
            made = self.publish_within(connection, layer, edition, sheets)
            self._within(connection, made)
            return made


def accept(services: Services, book: SubmissionBook, one: Submission, paths: tuple[Path, ...], claim: str) -> Edition:
    """Clean tables as the edition that was asked for.

    Raises
    ------
    ClaimLost
        Another worker has it: nothing is published.
    SubmissionInvalid, LayersError
        It can't be published: nothing is.
    """
    wanted, snapshot = one.wanted, services.catalogue.snapshot()
    if snapshot.find(LayerName(wanted["layer"], wanted["edition"])) is not None:
        raise SubmissionInvalid("submission-edition-there", "edition", layer=wanted["layer"], edition=wanted["edition"])
    before = snapshot.layers.get(wanted["layer"])

    def within(connection: sa.Connection, made: Edition) -> None:
        """Everything that is to be seen with the edition."""
        book.check_claim(connection, one, claim)
        passed(services, connection, one, one.approved_by)
        book.move(one.submission_id, Move(state=SubmissionState.ACCEPTED, among=[SubmissionState.PUBLISHING], act="accepted", actor=one.approved_by), connection)
        tell(services, connection, one, "letter-accepted", layer=one.edition)
        services.log.write({
            "event": "submission.accepted", "agency": one.agency, "agreement": one.agreement_id, "object": one.submission_id, "overlay": one.edition,
            "reviewer": one.reviewed_by, "actor": one.approved_by, "sha256": one.sha256, "features": one.features,
        })

    def change(edition: Edition, sheets: tuple[Sheet, ...]) -> tuple[Edition, tuple[Sheet, ...]]:
        rules = fitting(before.editions[0].symbols, edition) if before else None
        return replace(edition, symbols=rules), tuple(replace(sheet, lineage=(*sheet.lineage, *provenance(one))) for sheet in sheets)

    return ingest(
        services.settings, product=ProductType.OVERLAY.value, name=wanted["layer"], edition=wanted["edition"], paths=paths, owner=one.agency,
        title_zh=wanted.get("title_zh", ""), title_en=wanted.get("title_en", ""), abstract=abstract_of(wanted, before), classification=wanted["classification"],
        attribution=wanted.get("attribution", ""), currency=_currency(wanted), keep_delivered=False, workers=0,
        catalogue_over=lambda database: Together(database, within, change),
    )


def abstract_of(wanted: dict, before: Layer | None) -> str:
    """With the giver's own terms, which hold whoever is granted the layer."""
    told = wanted.get("abstract") or (before.abstract.partition("\n[")[0] if before else "")
    terms = wanted.get("terms", "")
    return f"{told}\n[使用条件 Terms: {terms}]".strip() if terms else told


def provenance(one: Submission) -> list[str]:
    """Of every sheet of the edition: neither the agreement nor who reviewed it, since whoever is granted the layer later may have no part in either."""
    received = one.received.astimezone(SHANGHAI).date().isoformat() if one.received else "-"
    facts = {"agency": one.agency, "submission": one.submission_id, "sha256": one.sha256, "received": received}
    return [both("submission-lineage", **facts)] + ([f"terms of the giver: {one.wanted['terms']}"] if one.wanted.get("terms") else [])


def _currency(wanted: dict) -> tuple[date, date]:
    until = date.fromisoformat(wanted["currency_to"])
    return date.fromisoformat(wanted["currency_from"]) if wanted.get("currency_from") else until, until
