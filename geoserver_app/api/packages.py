"""`/packages`: an area of layers as files, ordered, watched and called off by an agency's programs (by its key) or members."""

from typing import Annotated, Any

from pydantic import Field

from agreements.life.lifecycle import Role
from geoserver_app.api.faults import NothingThere
from geoserver_app.api.operation import Answer, Visit, operation
from geoserver_app.api.reading import Moment, Page, PageQuery, Sent, Told
from geoserver_app.identity import Caller, Carriage, Presented, networks_of
from geoserver_app.messages import sentence
from geoserver_app.packages.calling_off import call_off
from geoserver_app.packages.jobs import NoSuchPackage, Package, PackageBook, PackageState
from geoserver_app.packages.ordering import place
from geoserver_app.packages.orders import Form, read_order
from geoserver_app.packages.worker import note_end

MEMBERS = frozenset({Role.MEMBER})

LARGEST_ORDER = 4 << 20
"""Bytes: there may be a drawn shape in it."""

AREA = (
    "As in an agreement: `divisions`, `sheets`, `geojson` (with `crs`; CRS:84 unless named), `buffer` or `everywhere`; or `bounds` "
    "(left, bottom, right, top in `crs`)."
)


class PackageSent(Sent):
    """`crs` and `resolution` (units of the CRS a pixel) are the layer's own where they are left out."""

    layers: Annotated[list[str], Field(min_length=1, max_length=100, examples=[["dom@2011"]], description="`layer` or `layer@edition`.")]
    area: Annotated[dict[str, Any] | list[dict[str, Any]], Field(examples=[{"divisions": ["320104"]}], description=AREA)]
    format: Annotated[Form, Field(description="`delivered`: map sheets as they were delivered, where the whole of one is granted; else cut.")] = Form.COG
    crs: Annotated[str | None, Field(max_length=100, examples=["EPSG:4490"])] = None
    resolution: Annotated[float | None, Field(gt=0)] = None
    style: Annotated[str | None, Field(max_length=63, description="Of PNG and JPEG.")] = None


class PackageFileTold(Told):
    """`href` takes the range requests of RFC 9110: a download that broke off goes on (`curl -C -`)."""

    name: str
    bytes: int
    sha256: str
    media_type: str
    href: str


class PackageTold(Told):
    """`state`: queued, running, ready, failed, cancelled, expired, taken-back. `done` of `total` blocks are made. `reason` says why it is over."""

    package: str
    state: PackageState
    layers: list[str]
    format: Form
    crs: list[str]
    size: list[list[int]]
    done: int
    total: int
    ordered: Moment
    ended: Moment | None
    expires: Moment | None
    reason: str
    files: list[PackageFileTold]


@operation(
    "packages.list", "GET /packages", "本单位的数据包", "The agency's packages, the newest first", roles=MEMBERS, by_key=True, query=PageQuery,
    answer=Page[PackageTold],
)
def list_packages(visit: Visit, query: PageQuery) -> dict:
    held = book_of(visit).list(agency_of(visit))
    start = next((at + 1 for at, one in enumerate(held) if one.package_id == query.after), 0 if not query.after else len(held))
    items = held[start:start + query.limit]
    return {"items": [told(visit, one) for one in items], "next": items[-1].package_id if start + query.limit < len(held) else None}


@operation(
    "packages.order", "POST /packages", "订购数据包", "Order a package", roles=MEMBERS, by_key=True, body=PackageSent, answer=PackageTold, status=201,
    largest=LARGEST_ORDER, refusals=(409, 429),
)
def order_package(visit: Visit, body: PackageSent) -> Answer:
    services = visit.services
    order = read_order(
        services.catalogue, layers=body.layers, area=body.area, form=body.format, crs=body.crs, resolution=body.resolution, style=body.style,
        most_layers=services.settings.max_layers,
    )
    caller = asking(visit)
    asker = {"key": caller.key_id, "login": visit.person.login if visit.signed_in else ""}
    made = place(
        services.gate, services.catalogue, book_of(visit), services.settings, caller, order, asker, body.model_dump(mode="json", exclude_none=True),
    )
    return Answer(content=told(visit, made), object_id=made.package_id)


@operation("packages.get", "GET /packages/{package}", "一个数据包的进度和文件", "How far a package is, and its files", roles=MEMBERS, by_key=True, answer=PackageTold)
def get_package(visit: Visit, package: str) -> dict:
    return told(visit, _own(visit, package))


@operation(
    "packages.cancel", "DELETE /packages/{package}", "取消数据包并删除其文件", "Call a package off, and delete its files", roles=MEMBERS, by_key=True,
    answer=PackageTold,
)
def cancel_package(visit: Visit, package: str) -> dict:
    cancel(visit, _own(visit, package))
    return told(visit, _own(visit, package))


def cancel(visit: Visit, package: Package) -> None:
    """Nothing more is made of it, and nothing kept. One that is over stays what it is."""
    services = visit.services
    if call_off(services.settings, book_of(visit), services.meter, package, visit.at):
        note_end(services, package, PackageState.CANCELLED)


def book_of(visit: Visit) -> PackageBook:
    return PackageBook(visit.services.database, visit.services.gate.clock)


def agency_of(visit: Visit) -> str:
    return visit.caller.agency.agency_id if visit.caller else visit.person.agency


def asking(visit: Visit) -> Caller:
    """The agency as the gate knows it: by its key, or by a member of it who is signed in; then no application and no purpose is named. Raises
    NothingThere where there is no such agency any more."""
    if visit.caller is not None:
        return visit.caller
    register = visit.services.gate.standing().register
    agency = register.agencies.get(visit.person.agency)
    if agency is None or not agency.is_active:
        raise NothingThere(visit.person.agency)
    return Caller(
        agency=agency, key_id="", presented=Presented(secret="", carriage=Carriage.HEADER), base_url=visit.services.settings.public_base_url,
        networks=networks_of(visit.address, register.networks.get(agency.agency_id, frozenset())),
    )


def told(visit: Visit, package: Package) -> dict:
    address = visit.services.settings.public_base_url
    return {
        "package": package.package_id, "state": package.state, "layers": [f"{one['layer']}@{one['edition']}" for one in package.items],
        "format": package.wanted["format"], "crs": [one["view"]["crs"] for one in package.items],
        "size": [[one["view"]["width"], one["view"]["height"]] for one in package.items], "done": min(package.done, package.total),
        "total": package.total, "ordered": package.ordered, "ended": package.ended, "expires": package.expires,
        "reason": sentence(package.fault, {}, visit.language) if package.fault else "",
        "files": [
            {
                "name": one.name, "bytes": one.size, "sha256": one.sha256, "media_type": one.media_type,
                "href": f"{address}/packages/{package.package_id}/{one.name}",
            } for one in package.files if package.state is PackageState.READY
        ],
    }


def _own(visit: Visit, package_id: str) -> Package:
    """Raises NothingThere, for another agency's as for one that is none."""
    try:
        return book_of(visit).get(package_id, agency_of(visit))
    except NoSuchPackage:
        raise NothingThere(package_id) from None
