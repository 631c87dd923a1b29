"""What was sent -> typed values, with every fault at once in the asker's language."""

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Generic, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from geoserver_app.api.faults import FieldFault, InputFaulty
from geoserver_app.identity import origin_of

MOST_FAULTS = 100


class Sent(BaseModel):
    """What is sent to us: nothing but the fields there are."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)


class Told(BaseModel):
    """What we answer."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class PageQuery(Sent):
    """A list is read in pages: the next one begins after the last id of this one."""

    after: Annotated[str, Field(max_length=200, description="The `next` of the page before.")] = ""
    limit: Annotated[int, Field(ge=1, le=500, description="How many at most.")] = 100


Item = TypeVar("Item")
Model = TypeVar("Model", bound=BaseModel)


class Page(Told, Generic[Item]):
    """A part of a list, by id; `next` begins the next page, and is null on the last."""

    items: list[Item]
    next: str | None


def paged(items: Sequence[Item], query: PageQuery, id_of: Callable[[Item], str]) -> dict:
    """The part of `items`, which are sorted by id, that `query` asks for."""
    rest = [one for one in items if id_of(one) > query.after]
    return {"items": rest[:query.limit], "next": id_of(rest[query.limit - 1]) if len(rest) > query.limit else None}


# Kinds of fields

def _origin(text: str) -> str:
    if origin_of(text) != text:
        raise PydanticCustomError("field-not-origin", "must be an origin")
    return text


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise PydanticCustomError("field-not-network", "must be a CIDR block") from None


Origin = Annotated[str, Field(max_length=300, examples=["https://maps.example.gov"]), AfterValidator(_origin)]
Network = Annotated[str, Field(max_length=50, examples=["10.0.0.0/8"]), AfterValidator(_network)]
Moment = Annotated[AwareDatetime, Field(examples=[datetime.fromisoformat("2026-12-31T00:00:00+08:00")])]
Words = Annotated[str, Field(min_length=1, max_length=500)]
AgencyId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$", examples=["water"])]


# Reading

def read_body(model: type[Model], data: bytes) -> Model:
    """Raises InputFaulty."""
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        raise InputFaulty(*(_fault(one, pointer=_pointer(one["loc"])) for one in _errors(error))) from None


def read_query(model: type[Model], pairs: Sequence[tuple[str, str]]) -> Model:
    """Raises InputFaulty. `lang` chooses the language of every answer, and is no parameter of any."""
    given: dict[str, str] = {}
    repeated = []
    for name, value in pairs:
        if name in given:
            repeated.append(FieldFault(parameter=name[:100], code="field-repeated"))
        if name != "lang":
            given[name] = value
    if repeated:
        raise InputFaulty(*repeated)
    try:
        return model.model_validate_strings(given)
    except ValidationError as error:
        raise InputFaulty(*(_fault(one, parameter=str(one["loc"][0])[:100]) for one in _errors(error))) from None


def _errors(error: ValidationError) -> list[ErrorDetails]:
    return error.errors(include_url=False, include_input=False)[:MOST_FAULTS]


def _pointer(place: Sequence[str | int]) -> str:
    """RFC 6901."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1")[:200] for part in place)


SENTENCES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "missing": ("field-missing", {}),
    "extra_forbidden": ("field-unknown", {}),
    "string_type": ("field-not-text", {}),
    "string_too_short": ("field-short", {"least": "min_length"}),
    "string_too_long": ("field-long", {"most": "max_length"}),
    "string_pattern_mismatch": ("field-spelling", {"pattern": "pattern"}),
    "too_short": ("field-short", {"least": "min_length"}),
    "too_long": ("field-long", {"most": "max_length"}),
    "bytes_too_long": ("field-long", {"most": "max_length"}),
    "int_type": ("field-not-whole", {}),
    "int_parsing": ("field-not-whole", {}),
    "int_from_float": ("field-not-whole", {}),
    "float_type": ("field-not-number", {}),
    "float_parsing": ("field-not-number", {}),
    "finite_number": ("field-not-number", {}),
    "bool_type": ("field-not-flag", {}),
    "bool_parsing": ("field-not-flag", {}),
    "list_type": ("field-not-list", {}),
    "set_type": ("field-not-list", {}),
    "frozen_set_type": ("field-not-list", {}),
    "dict_type": ("field-not-fields", {}),
    "model_type": ("field-not-fields", {}),
    "greater_than_equal": ("field-small", {"least": "ge"}),
    "greater_than": ("field-small", {"least": "gt"}),
    "less_than_equal": ("field-large", {"most": "le"}),
    "less_than": ("field-large", {"most": "lt"}),
    "literal_error": ("field-choice", {"choices": "expected"}),
    "enum": ("field-choice", {"choices": "expected"}),
    "datetime_type": ("field-not-moment", {}),
    "datetime_parsing": ("field-not-moment", {}),
    "datetime_from_date_parsing": ("field-not-moment", {}),
    "timezone_aware": ("field-not-moment", {}),
    "date_type": ("field-not-day", {}),
    "date_parsing": ("field-not-day", {}),
    "date_from_datetime_parsing": ("field-not-day", {}),
    "json_invalid": ("field-not-json", {"reason": "error"}),
}
"""pydantic's name of a fault -> ours, and which of its details goes where."""


def _fault(error: ErrorDetails, **place: str) -> FieldFault:
    context = error.get("ctx", {})
    if error["type"].startswith("field-"):                     # one of the kinds above
        return FieldFault(code=error["type"], **place)
    code, detail = SENTENCES.get(error["type"], ("field-wrong", {}))
    told = {name: _plain(context.get(source, "")) for name, source in detail.items()}
    return FieldFault(code=code, detail=told or {"reason": error["msg"][:200]}, **place)


def _plain(value: object) -> str:
    """
    >>> _plain("'approver', 'auditor' or 'member'")
    'approver, auditor, member'
    """
    return str(value).replace("'", "").replace(" or ", ", ")[:200]
