"""Which columns of a table hold coordinates or division codes: by their names, Chinese or English, or as was declared."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

EAST = ("lon", "lng", "long", "longitude", "x", "经度", "东经", "东坐标", "横坐标", "x坐标", "lon_cgcs2000", "坐标x")
NORTH = ("lat", "latitude", "y", "纬度", "北纬", "北坐标", "纵坐标", "y坐标", "lat_cgcs2000", "坐标y")
DEGREES = frozenset({"lon", "lng", "long", "longitude", "lat", "latitude", "经度", "东经", "纬度", "北纬"})
"""Names that say degrees; still not of which datum."""

CODES = (
    "code", "adcode", "ad_code", "pac", "xzqdm", "region_code", "division_code", "county_code", "行政区划代码", "行政区代码", "区划代码", "区县代码", "代码",
)
CODE = re.compile(r"\d{6}|\d{9}|\d{12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Either `x` and `y`, or `code`."""

    x: str | None = None
    y: str | None = None
    code: str | None = None


def recognised(names: Sequence[str], declared: Mapping[str, str]) -> Columns | None:
    """The columns meant, coordinates before codes; None where there are none. Raises KeyError for a declared column that is not there.

    >>> recognised(["站名", "经度", "纬度"], {})
    Columns(x='经度', y='纬度', code=None)
    >>> recognised(["行政区划代码", "GDP"], {})
    Columns(x=None, y=None, code='行政区划代码')
    """
    by_name = {name.casefold().strip(): name for name in names}
    said = {part: _there(declared[part], by_name) for part in ("x", "y", "code") if declared.get(part)}
    if "code" in said:
        return Columns(code=said["code"])
    east, north = said.get("x") or _first(EAST, by_name), said.get("y") or _first(NORTH, by_name)
    if east and north:
        return Columns(x=east, y=north)
    code = _first(CODES, by_name)
    return Columns(code=code) if code else None


def _there(name: str, by_name: Mapping[str, str]) -> str:
    return by_name[name.casefold().strip()]


def _first(wanted: Sequence[str], by_name: Mapping[str, str]) -> str | None:
    return next((by_name[name] for name in wanted if name in by_name), None)


def plain_code(value: object) -> str | None:
    """A division code as text; None where it is none.

    >>> plain_code(320104), plain_code(" 320104001 "), plain_code("3201"), plain_code(None)
    ('320104', '320104001', None, None)
    """
    text = "" if value is None else str(value).strip()
    return text if CODE.fullmatch(text) else None


def short_code(code: str) -> str:
    """Without the groups of zeros that a longer code of the same division ends with.

    >>> short_code("320104000000"), short_code("320104001000"), short_code("320100")
    ('320104', '320104001', '320100')
    """
    for length in (6, 9):
        if len(code) > length and set(code[length:]) == {"0"}:
            return code[:length]
    return code
