"""What a check found, as a code and its details: told in the reader's language wherever it is told, also years later."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import shapely
from shapely.geometry.base import BaseGeometry

from geoserver_app.messages import CHINESE, ENGLISH, sentence

MOST_KEYS = 100
"""Features that one finding names; how many there are is told all the same."""

MOST_SHAPES = 400
"""Places that one finding has in the picture."""


class Severity(StrEnum):
    ERROR = "error"                          # acceptance has to say why it is taken all the same
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`keys` name features by their key, or as `#7` by the number of their row; `shapes` are where it is, in CRS84."""

    code: str
    severity: Severity = Severity.ERROR
    table: str = ""
    detail: Mapping[str, str] = field(default_factory=dict)
    count: int = 1
    keys: tuple[str, ...] = ()
    shapes: tuple[BaseGeometry, ...] = ()

    def told(self, language: str) -> str:
        return sentence(self.code, {**self.detail, "count": str(self.count), "table": self.table}, language)

    def plain(self) -> dict:
        """For the report in JSON, from which it is read again."""
        return {
            "code": self.code, "severity": self.severity.value, "table": self.table, "detail": dict(self.detail), "count": self.count,
            "keys": list(self.keys), "zh": self.told(CHINESE), "en": self.told(ENGLISH),
            "places": [[round(value, 7) for value in one.bounds] for one in self.shapes],
        }


def finding(code: str, severity: Severity, table: str, keys: Sequence[str], shapes: Sequence[BaseGeometry] = (), /, **detail: object) -> Finding:
    """Of some features: `count` is that of their keys."""
    there = [one for one in shapes if one is not None and not one.is_empty]
    return Finding(
        code=code, severity=severity, table=table, detail={name: str(value)[:200] for name, value in detail.items()}, count=len(keys),
        keys=tuple(str(key)[:80] for key in keys[:MOST_KEYS]), shapes=tuple(there[:MOST_SHAPES]),
    )


def of_plain(plain: Mapping) -> Finding:
    return Finding(
        code=plain["code"], severity=Severity(plain["severity"]), table=plain["table"], detail=plain["detail"], count=plain["count"],
        keys=tuple(plain["keys"]), shapes=tuple(shapely.box(*place) for place in plain["places"]),
    )
