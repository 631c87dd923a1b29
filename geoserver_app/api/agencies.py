"""`/agencies`: the parties of agreements. A member sees his own."""

from typing import Annotated

from pydantic import Field

from agreements.model import Agency
from geoserver_app.api.faults import NothingThere
from geoserver_app.api.operation import EVERYBODY, Visit, operation
from geoserver_app.api.people import ADMINISTRATORS
from geoserver_app.api.reading import FieldFault, InputFaulty, Page, PageQuery, Sent, Told, paged

AgencyName = Annotated[str, Field(min_length=1, max_length=200)]


class AgencyTold(Told):
    agency: str
    name_zh: str
    name_en: str
    is_active: bool

    @classmethod
    def of(cls, agency: Agency) -> "AgencyTold":
        return cls(agency=agency.agency_id, name_zh=agency.name_zh, name_en=agency.name_en, is_active=agency.is_active)


class AgencySent(Sent):
    """An agency that is not active is answered nothing: its keys don't count, its members can't sign in."""

    name_zh: AgencyName
    name_en: AgencyName
    is_active: bool = True


@operation("agencies.list", "GET /agencies", "单位列表", "Every agency; a member's own", roles=EVERYBODY, query=PageQuery, answer=Page[AgencyTold])
def list_agencies(visit: Visit, query: PageQuery) -> dict:
    own = visit.own_agency(None)
    agencies = [AgencyTold.of(one) for one in visit.services.register.agencies() if own in (None, one.agency_id)]
    return paged(agencies, query, lambda one: one.agency)


@operation("agencies.get", "GET /agencies/{agency}", "一个单位", "One agency", roles=EVERYBODY, answer=AgencyTold)
def get_agency(visit: Visit, agency: str) -> AgencyTold:
    visit.check_sees(agency, agency)
    for one in visit.services.register.agencies():
        if one.agency_id == agency:
            return AgencyTold.of(one)
    raise NothingThere(agency)


@operation(
    "agencies.put", "PUT /agencies/{agency}", "登记单位，或修改其名称、停用、启用", "Register an agency, or change its names, close or reopen it",
    roles=ADMINISTRATORS, body=AgencySent, answer=AgencyTold,
)
def put_agency(visit: Visit, agency: str, body: AgencySent) -> AgencyTold:
    one = Agency(agency_id=agency, name_zh=body.name_zh, name_en=body.name_en, is_active=body.is_active)
    try:
        visit.services.register.add_agency(one, visit.actor)
    except ValueError:
        raise InputFaulty(FieldFault(pointer="", code="agency-spelling", detail={"agency": agency[:80]})) from None
    return AgencyTold.of(one)
