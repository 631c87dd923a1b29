"""Values of the agreements as JSON and back: any frozen dataclass of model.py, quota.py and record.py, by its own type hints.

Every field is written, so that a default that changes one day changes nothing that was registered before; a field that is not written, because
it is younger than the text, takes its default. Sets are sorted lists, moments are ISO 8601 in UTC, an area is its digest, title and words:
geometries are kept beside.
"""

import json
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import UTC, date, datetime
from enum import Enum
from functools import cache
from hashlib import sha256
from zoneinfo import ZoneInfo

from agreements.model import Area

SHANGHAI = ZoneInfo("Asia/Shanghai")

AreaOf = Callable[[dict], Area]
"""The area that a stored `{"digest", "title", "words"}` names. Raises KeyError or ValueError where its geometry is not what was stored."""


def canonical(value) -> str:
    """JSON text that is the same for equal values."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest_of(value) -> str:
    """SHA-256 of the canonical JSON, in hex."""
    return sha256(canonical(value).encode()).hexdigest()


def to_plain(value, without: frozenset[str] = frozenset()):
    """`value` as JSON values; of a dataclass the fields that are not in `without`."""
    if isinstance(value, Area):
        return {"digest": value.digest, "title": value.title, "words": value.words}
    if is_dataclass(value):
        return {one.name: to_plain(getattr(value, one.name)) for one in fields(value) if one.name not in without}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return moment_text(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(name): to_plain(one) for name, one in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted((to_plain(one) for one in value), key=canonical)
    if isinstance(value, (tuple, list)):
        return [to_plain(one) for one in value]
    return value


def from_plain(kind: type, said, area: AreaOf, **given):
    """The dataclass `kind` that `said` (an object, or in texts of the first version a list of its fields) tells; `given` fields beside.

    Raises
    ------
    KeyError, TypeError, ValueError
        A field without a default is missing, or a value is none of its type.
    """
    if isinstance(said, list):
        said = dict(zip((one.name for one in fields(kind)), said, strict=True))
    if not isinstance(said, Mapping):
        raise TypeError(f"no {kind.__name__}")
    values = {
        name: _value(hint, said[name], area) for name, hint, is_required in _shape(kind)
        if name not in given and (is_required or name in said)
    }
    return kind(**values, **given)


@cache
def _shape(kind: type) -> tuple[tuple[str, object, bool], ...]:
    """(name, type, whether it must be there) of each field."""
    hints = typing.get_type_hints(kind)
    return tuple((one.name, hints[one.name], _is_required(one)) for one in fields(kind))


def _is_required(one: Field) -> bool:
    return one.default is MISSING and one.default_factory is MISSING


def _value(hint, said, area: AreaOf):
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        (hint,) = (one for one in inner if one is not type(None))
        return None if said is None else _value(hint, said, area)
    if said is None:
        raise TypeError(f"no {hint}")
    if origin in (tuple, frozenset):
        if not isinstance(said, list):
            raise TypeError(f"no list of {inner[0]}")
        return origin(_value(inner[0], one, area) for one in said)
    if hint is Area:
        return area(said)
    if is_dataclass(hint):
        return from_plain(hint, said, area)
    if hint is datetime:
        return moment_of(said)
    if hint is date:
        return date.fromisoformat(said)
    if hint is float:
        return float(said)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(said)
    if isinstance(hint, type) and not isinstance(said, hint):
        raise TypeError(f"no {hint.__name__}")
    return said


def moment_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def moment_of(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(SHANGHAI)
