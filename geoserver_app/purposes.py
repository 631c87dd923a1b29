"""config/purposes.csv: what data may be used for. Grants and keys name purposes by code."""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from geoserver_app.settings import ROOT

FILE = "purposes.csv"


@dataclass(frozen=True, slots=True)
class Purpose:
    """`source` says where the class comes from."""

    code: str
    zh: str
    en: str
    source: str


@cache
def load_purposes(config: Path = ROOT / "config") -> dict[str, Purpose]:
    """By code, in the order of the file. Raises OSError where the file is not there, TypeError where a row has other columns."""
    with (config / FILE).open(encoding="utf-8", newline="") as lines:
        return {row["code"]: Purpose(**row) for row in csv.DictReader(lines)}
