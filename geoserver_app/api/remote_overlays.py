"""`/overlays/remote`, `/remote-hosts`: map services elsewhere as overlays, and the administrators' list of the hosts that may be asked at all."""

import json
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from geoserver_app.api.faults import FieldFault, InConflict, InputFaulty, NothingThere
from geoserver_app.api.layers import ADMINISTRATORS
from geoserver_app.api.operation import Answer, Visit, operation
from geoserver_app.api.overlays import (
    MEMBERS,
    MOST_OPEN,
    EditionName,
    OverlayTold,
    UploadTold,
    book_of,
    free_edition,
    overlay_told,
    own,
    telling,
    upload_told,
)
from geoserver_app.api.packages import agency_of
from geoserver_app.api.reading import Moment, Sent, Told
from geoserver_app.overlays.asking import check_edition, layer_name
from geoserver_app.overlays.book import UploadState
from geoserver_app.overlays.faults import Finding, OverlayInvalid
from geoserver_app.overlays.fetching import Host, address_of, base_url, sealed_header
from geoserver_app.overlays.publishing import published_remote
from geoserver_app.overlays.remote_services import RemoteFeatures, find_features, find_map, ground_of
from geoserver_app.settings import CLASSIFICATIONS
from layers.model import Classification, Edition, Layer, ProductType, Source
from tiles.remote import kind_of


class CredentialSent(Sent):
    """`basic`: user and password; `bearer`: token; `header`: name and value. Kept sealed, sent to that host alone, told to nobody."""

    kind: Literal["basic", "bearer", "header"]
    user: Annotated[str, Field(max_length=200)] = ""
    password: Annotated[SecretStr, Field(max_length=500)] = SecretStr("")
    token: Annotated[SecretStr, Field(max_length=3000)] = SecretStr("")
    name: Annotated[str, Field(max_length=60)] = ""
    value: Annotated[SecretStr, Field(max_length=3000)] = SecretStr("")

    def plain(self) -> dict[str, str]:
        secrets = {name: getattr(self, name).get_secret_value() for name in ("password", "token", "value")}
        return {"user": self.user, "name": self.name} | secrets


class RemoteSent(Sent):
    """`layers` of a WMS, or the one feature type of a WFS."""

    kind: Literal["wms", "wfs"]
    url: Annotated[str, Field(min_length=1, max_length=2000, examples=["https://maps.example.gov/wms"])]
    layers: Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], Field(min_length=1, max_length=10)]
    name: Annotated[str, Field(min_length=1, max_length=63)]
    edition: EditionName = ""
    title_zh: Annotated[str, Field(max_length=100)] = ""
    title_en: Annotated[str, Field(max_length=100)] = ""
    abstract: Annotated[str, Field(max_length=1000)] = ""
    classification: Literal[CLASSIFICATIONS] = "internal"
    credential: CredentialSent | None = None


class RemoteTold(Told):
    """Of a WMS the overlay, at once; of a WFS the registration that takes its features in."""

    overlay: OverlayTold | None
    upload: UploadTold | None


class HostSent(Sent):
    """`is_inside`: it stands in a network of the house, so that a private address is right."""

    port: Annotated[int, Field(ge=1, le=65535)] = 443
    is_inside: bool = False
    note: Annotated[str, Field(max_length=300)] = ""


class PortQuery(Sent):
    port: Annotated[int, Field(ge=1, le=65535)] = 443


class HostTold(Told):
    host: str
    port: int
    is_inside: bool
    note: str
    listed: Moment
    listed_by: str


class Hosts(Told):
    items: list[HostTold]


@operation(
    "overlays.remote", "POST /overlays/remote", "接入远程 WMS 或 WFS", "A map service elsewhere as an overlay", roles=MEMBERS, by_key=True, body=RemoteSent,
    answer=RemoteTold, status=201, refusals=(409,),
)
def register_remote(visit: Visit, body: RemoteSent) -> Answer:
    """Asked with its owner's own credential, which is sealed before anything is asked, and forgotten where nothing comes of it."""
    services, agency = visit.services, agency_of(visit)
    with telling("/name"):
        name = layer_name(agency, body.name, services.gate.standing().register.agencies)
    edition = body.edition or free_edition(visit, name)
    with telling("/edition"):
        check_edition(services.catalogue, name, edition)
    with telling("/url"):
        url = base_url(body.url)
        host = address_of(url)
        if services.door.hosts.get(host.host, host.port) is None:
            raise OverlayInvalid("remote-host", host=host.name)
    credential = None
    if body.credential is not None:
        with telling("/credential"):
            header = sealed_header(body.credential.kind, body.credential.plain())
        credential = services.door.credentials.keep(agency, host.name, *header)
    try:
        if body.kind == "wms":
            told = RemoteTold(overlay=_published_map(visit, body, name, edition, url, credential), upload=None)
        else:
            told = RemoteTold(overlay=None, upload=_queued_features(visit, body, name, edition, url, credential))
    except BaseException:
        if credential is not None:
            services.door.credentials.forget(credential)
        raise
    return Answer(content=told, object_id=f"{name}@{edition}", noted={"host": host.name, "kind": body.kind, "with_credential": credential is not None})


def _published_map(visit: Visit, body: RemoteSent, name: str, edition: str, url: str, credential: str | None) -> OverlayTold:
    services = visit.services
    with telling("/url"):
        found = find_map(services.door, url, body.layers, credential)
    layer = Layer(
        name=name, title_zh=body.title_zh or found.title[:100], title_en=body.title_en or found.title[:100], abstract=body.abstract,
        product=ProductType.OVERLAY, owner=agency_of(visit), classification=Classification(CLASSIFICATIONS.index(body.classification)), attribution="", editions=(),
    )
    remote = Edition(
        edition_id=0, name=edition, layer=name, product=ProductType.OVERLAY, currency=(None, None), generation=1, folder=f"{name}/{edition}", crs="EPSG:4490",
        extent=ground_of(found.bounds), resolution=None, source=Source.REMOTE, remote=found.remote.text(),
    )
    with telling("/classification"):
        published_remote(services, layer, remote)
    return overlay_told(own(visit, name)[0])


def _queued_features(visit: Visit, body: RemoteSent, name: str, edition: str, url: str, credential: str | None) -> UploadTold:
    with telling("/url"):
        found = find_features(visit.services.door, url, body.layers[0], credential)
    wanted = {
        "file": f"{body.name}.geojson", "name": name, "edition": edition, "suffix": ".geojson", "stem": body.name, "title_zh": body.title_zh,
        "title_en": body.title_en, "abstract": body.abstract, "classification": body.classification, "crs": "CRS:84", "coord_origin": "survey",
        "source": found.plain(),
    }
    return upload_told(visit, _queued(visit, wanted))


def _queued(visit: Visit, wanted: dict):
    book = book_of(visit)
    if book.open_count(agency_of(visit)) >= MOST_OPEN:
        raise InConflict(Finding(code="overlay-many-open", detail={"most": str(MOST_OPEN)}).told(visit.language), "overlay-many-open")
    asker = {"key": visit.caller.key_id if visit.caller else "", "login": visit.person.login if visit.signed_in else ""}
    return book.add(agency_of(visit), asker, wanted, state=UploadState.QUEUED)


@operation(
    "overlays.refresh", "POST /overlays/layers/{layer}/refresh", "从远程 WFS 刷新（生成新版本）", "Take the features of a remote WFS in anew, as another edition",
    roles=MEMBERS, by_key=True, answer=UploadTold, status=202, refusals=(409,),
)
def refresh(visit: Visit, layer: str) -> UploadTold:
    held, newest = own(visit, layer)
    if kind_of(newest.remote) != "wfs":
        raise InConflict(Finding(code="remote-not-refreshable").told(visit.language), "remote-not-refreshable")
    wanted = {
        "file": f"{layer}.geojson", "name": layer, "edition": free_edition(visit, layer), "suffix": ".geojson",
        "stem": newest.classes[0].name if newest.classes else "features", "title_zh": held.title_zh, "title_en": held.title_en, "abstract": held.abstract,
        "classification": CLASSIFICATIONS[held.classification], "crs": "CRS:84", "coord_origin": "survey",
        "source": RemoteFeatures.of(json.loads(newest.remote)).plain(),
    }
    return upload_told(visit, _queued(visit, wanted))


# -- the list

@operation("remote.hosts", "GET /remote-hosts", "准许访问的远程主机", "Hosts that may be asked", roles=ADMINISTRATORS, answer=Hosts)
def list_hosts(visit: Visit) -> dict:
    return {"items": [_told(one) for one in visit.services.door.hosts.list()]}


@operation("remote.hosts.put", "PUT /remote-hosts/{host}", "准许访问一个远程主机", "Let a host be asked", roles=ADMINISTRATORS, body=HostSent, answer=HostTold)
def put_host(visit: Visit, host: str, body: HostSent) -> HostTold:
    try:
        address = address_of(f"https://{host}:{body.port}/")
    except OverlayInvalid:
        raise InputFaulty(FieldFault(pointer="/host", code="remote-url")) from None
    return _told(visit.services.door.hosts.put(
        Host(host=address.host, port=body.port, is_inside=body.is_inside, note=body.note, listed_by=visit.person.login),
    ))


@operation(
    "remote.hosts.remove", "DELETE /remote-hosts/{host}", "不再准许访问一个远程主机", "Let a host be asked no more", roles=ADMINISTRATORS, query=PortQuery, status=204,
)
def remove_host(visit: Visit, host: str, query: PortQuery) -> None:
    """What it draws is drawn no more from here on."""
    if not visit.services.door.hosts.remove(host, query.port):
        raise NothingThere(host)


def _told(one: Host) -> HostTold:
    return HostTold(host=one.host, port=one.port, is_inside=one.is_inside, note=one.note, listed=one.listed, listed_by=one.listed_by)
