"""An agreement that says something of every field there is, and every agreement that differs from it in one place."""

from dataclasses import fields, is_dataclass, replace
from datetime import date, datetime, timedelta
from enum import Enum
from zoneinfo import ZoneInfo

import shapely

from agreements.areas import area_on_the_ground
from agreements.model import Agreement, Area, Grant, Mark, Operation, ResolutionWindow, ScaleWindow, Suspension, Term
from agreements.quota import Limit, Measure, Quota, Rate, Window
from agreements.record import (
    Attachment,
    Channel,
    Contact,
    Contractor,
    Contribution,
    Coordination,
    OnOverdue,
    Party,
    Record,
    Renewal,
    RenewalMode,
    Review,
    Role,
    Security,
    UnitScope,
    UseLimits,
)


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=ZoneInfo("Asia/Shanghai"))


def box(west: float, south: float, east: float, north: float) -> Area:
    return area_on_the_ground(shapely.box(west, south, east, north), f"{west},{south},{east},{north}")


EAST, WEST = box(118.5, 32.0, 119.0, 32.5), box(118.0, 32.0, 118.5, 32.5)

RICH = Agreement(
    agreement_id="苏测共享〔2026〕003号", version=2, title="与省水利厅地理信息共建共享协议", grantor="bureau", grantee="water", parent="AG-ABOVE",
    term=Term(start=at(2026, 1, 1), end=at(2029, 1, 1)), contact="共享处", purpose="防汛", credit="© 省测绘局", basis=("测绘法", "办法"),
    is_emergency=True, mark=Mark(text="内部使用", opacity=0.3, place="corner"),
    quota=Quota(rate=Rate(per_second=50.0, burst=400), export_km2=25.0, limits=(
        Limit(measure=Measure.REQUESTS, window=Window.DAY, most=1e5), Limit(measure=Measure.GROUND, window=Window.TERM, most=2000.5, resolution=1.0),
    )),
    grants=(
        Grant(
            clause="3.1", layers=frozenset({"dom", "dem@2011"}), operations=frozenset({Operation.GET_MAP, Operation.GET_TILE}), area=WEST,
            scale=ScaleWindow(finest=5000.0, coarsest=250000.0), resolution=ResolutionWindow(finest=0.5, coarsest=10.0), degrade=25.0,
            term=Term(start=at(2026, 6, 1), end=at(2026, 12, 31, 18)), formats=frozenset({"image/png"}), crs=frozenset({"EPSG:4549", "CRS:84"}),
            styles=frozenset({"plain"}), attributes=frozenset({"NAME"}), products=frozenset({"DOM"}), editions=frozenset({"2011", "latest"}),
            rows="GB = 230101", networks=frozenset({"10.0.0.0/8", "2001:db8::/32"}), purposes=frozenset({"planning"}), apps=frozenset({"pgis"}),
            ceiling=2,
        ),
        Grant(clause="3.2", layers=frozenset({"dom"}), operations=frozenset({Operation.GET_MAP}), area=EAST, attributes=None),
    ),
    suspensions=(Suspension(reason="核查", since=at(2026, 7, 1), until=at(2026, 8, 1), layers=frozenset({"dom"}), area=EAST),),
    record=Record(
        parties=(Party(
            agency="water", role=Role.USER, legal_name="省水利厅", legal_person="厅长", signed=date(2025, 12, 20),
            contacts=(Contact(name="信息中心", duty="联络员", phone="025", email="a@example.org"),),
        ),),
        principle="互利", delivery=("字典",), renewal=Renewal(mode=RenewalMode.AUTO, period="P3Y", notice_days=30),
        contributions=(Contribution(
            dataset="水闸", cadence="P1Y", first_due=date(2026, 11, 30), grace_days=10, channel=Channel.UPLOAD, format="GPKG", spec="GB", geometry="point",
            join_key="ID", no_change_statement=False, on_overdue=OnOverdue.REDUCE_QUOTA, free=False, note="另报",
        ),),
        use=UseLimits(
            purposes=("planning",), unit_scope=UnitScope.NAMED, sub_units=("站",), third_party=True, internet=True, onward="无", derived="双方",
            conversion_report=False, device_serials=("SN1",), contractors=(Contractor(name="院", undertaking="1号", destroy_by=date(2026, 12, 1)),),
        ),
        security=Security(classification=1, network="专网", undertaking="2号", incident_contact="处", destruction_certificate=True),
        coordination=Coordination(group="小组", leads=("甲",), members=("乙",), meeting="P6M", dispute=("联络员", "小组")),
        review=Review(month=10, indicators=("calls",)), fees=("无偿",), liability="现状", breach="暂停", attachments=(Attachment(name="目录", sha256="0a" * 32),),
    ),
)


def others_of(value, path=""):
    """Every value that differs from `value` in one place, with the path of the place."""
    if isinstance(value, Area):
        yield path, EAST if value.digest != EAST.digest else WEST
    elif is_dataclass(value):
        for one in fields(value):
            if not (isinstance(value, Agreement) and one.name in ("state", "replaced")):
                for place, other in others_of(getattr(value, one.name), f"{path}.{one.name}"):
                    yield place, replace(value, **{one.name: other})
    elif isinstance(value, tuple):
        yield f"{path}[]", ()
        for position, inner in enumerate(value):
            for place, other in others_of(inner, f"{path}[{position}]"):
                yield place, (*value[:position], other, *value[position + 1:])
    elif isinstance(value, frozenset):
        if value:
            yield f"{path}{{}}", frozenset()
        yield f"{path}+", value | {Operation.DOWNLOAD if Operation.GET_MAP in value else "another"}
    elif isinstance(value, Enum):
        yield path, next(one for one in type(value) if one is not value)
    elif isinstance(value, bool):
        yield path, not value
    elif isinstance(value, (int, float)):
        yield path, value + 1
    elif isinstance(value, datetime):
        yield path, value + timedelta(milliseconds=1)
    elif isinstance(value, date):
        yield path, value + timedelta(days=1)
    elif isinstance(value, str):
        yield path, value + "x"
    else:
        yield path, "something"


OTHERS = list(others_of(RICH))
"""(place, agreement) of each."""
