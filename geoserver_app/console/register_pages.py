"""The list of agreements: searched by words, party, state and layer."""

from collections.abc import Mapping
from typing import Annotated

import flask
from pydantic import Field

from agreements.life.lifecycle import state_at
from agreements.model import BUREAU, Agency, Agreement
from geoserver_app.api.agreements import StateName, visible
from geoserver_app.api.reading import AgencyId, Sent
from geoserver_app.console.frame import Frame, asked, page
from geoserver_app.review.granted import granted_layers
from geoserver_app.review.words import STATES

MOST_LISTED = 100
ShortText = Annotated[str, Field(max_length=100)]


class Search(Sent):
    text: ShortText = ""
    party: AgencyId | None = None
    state: StateName | None = None
    layer: ShortText = ""
    after: ShortText = ""


@page("console.agreements", "/agreements")
def agreements(frame: Frame) -> flask.Response:
    search, names = asked(Search), agency_names(frame)
    newest = {one.agreement_id: one for one in visible(frame.visit, frame.visit.services.register.list())}
    found = [one for one in newest.values() if _is_meant(frame, one, search, names)]
    shown = [one for one in found if one.agreement_id > search.after][:MOST_LISTED]
    return frame.shown(
        "agreements.html", found=len(found), rows=[(one, state_at(one, frame.at), _what(one)) for one in shown], search=search, names=names,
        states=STATES, parties=sorted({party for one in newest.values() for party in (one.grantor, one.grantee)}),
        next_after=shown[-1].agreement_id if shown and shown[-1] is not found[-1] else "", layers=_layers(frame, list(newest.values())),
    )


def agency_names(frame: Frame) -> Mapping[str, str]:
    """What agencies are called, by id. (Parties of an agreement know one another.)"""
    found = {one.agency_id: name_of(one, frame) for one in frame.visit.services.register.agencies()}
    return {BUREAU: frame.say("测绘主管部门", "the surveying bureau"), **found}


def name_of(agency: Agency, frame: Frame) -> str:
    return frame.say(agency.name_zh, agency.name_en) or agency.agency_id


def _is_meant(frame: Frame, one: Agreement, search: Search, names: Mapping[str, str]) -> bool:
    text = search.text.casefold()
    said = " ".join((one.agreement_id, one.title, names.get(one.grantor, ""), names.get(one.grantee, ""), one.grantor, one.grantee, one.purpose)).casefold()
    if any(word not in said for word in text.split()) or search.party not in (None, one.grantor, one.grantee):
        return False
    if search.state is not None and state_at(one, frame.at).value != search.state:
        return False
    return not search.layer or search.layer in _layers(frame, [one])


def _layers(frame: Frame, found: list[Agreement]) -> list[str]:
    """Names of layers that agreements grant: those they name, and those of the catalogue that they mean."""
    held = frame.visit.services.catalogue.snapshot()
    named = {name.partition("@")[0] for one in found for grant in one.grants for name in grant.layers}
    return sorted(named | ({layer for one in found for layer in granted_layers(one, held)} if not frame.person.is_member else set()))


def _what(one: Agreement) -> list[str]:
    """What it is about, in short: layers and products by name."""
    return sorted({name for grant in one.grants for name in (*grant.layers, *grant.products)})
