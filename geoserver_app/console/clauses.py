"""A grant in words, as one reads it on a card: everything that holds it, and nothing that doesn't."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from agreements.areas import EVERYWHERE_DIGEST
from agreements.model import CLASSIFICATIONS, LATEST, METRES_AT_ONE, Area, Grant, Operation, Term
from geoserver_app.console.frame import day, last_day, moment
from geoserver_app.messages import style_title

Say = Callable[[str, str], str]

OPERATIONS = {
    Operation.GET_MAP: ("地图", "maps"), Operation.GET_TILE: ("瓦片", "tiles"), Operation.GET_FEATURE_INFO: ("点查询", "point queries"),
    Operation.GET_FEATURE: ("要素", "features"), Operation.GET_COVERAGE: ("栅格数值", "raster values"), Operation.DOWNLOAD: ("下载", "downloads"),
}
CLASSES = ("公开", "内部", "秘密", "机密", "绝密")
PRODUCTS = {"DOM": ("正射影像", "orthophotos"), "DEM": ("高程模型", "elevation"), "DLG": ("线划图", "line maps"), "OVERLAY": ("专题数据", "overlays")}

MOST_NAMES = 12


@dataclass(frozen=True, slots=True)
class Names:
    """What codes are called: `division` of a code and a vintage, `purposes` by code."""

    division: Callable[[str, str], str]
    purposes: Mapping[str, str]


def layers_in_words(grant: Grant, say: Say) -> str:
    named = [*sorted(grant.layers), *(say(f"全部{PRODUCTS.get(one, (one, one))[0]}", f"all {PRODUCTS.get(one, (one, one))[1]}") for one in sorted(grant.products))]
    return _listed(named, say)


def operations_in_words(grant: Grant, say: Say) -> list[str]:
    return [say(*words) for one, words in OPERATIONS.items() if one in grant.operations]


def restrictions(grant: Grant, language: str, say: Say, names: Names) -> list[tuple[str, str]]:
    """(what, how): each thing that narrows the grant beside its layers, operations and area."""
    return [(say(*title), words) for title, words in _restrictions(grant, language, say, names) if words]


def _restrictions(grant: Grant, language: str, say: Say, names: Names) -> Iterator[tuple[tuple[str, str], str]]:
    yield ("版本", "Editions"), "" if grant.editions is None else _listed([say("最新版", "the newest") if one == LATEST else one for one in sorted(grant.editions)], say)
    yield ("比例尺", "Scale"), _window(grant.scale.finest, grant.scale.coarsest, lambda value: f"1:{value:,.0f}", say)
    yield ("像元", "Pixels"), _window(grant.resolution.finest, grant.resolution.coarsest, lambda value: f"{value:g} m", say)
    yield ("降精", "Degraded"), "" if grant.degrade is None else say(f"取自 {grant.degrade:g} 米固定格网", f"from a fixed grid of {grant.degrade:g} m")
    yield ("属性", "Attributes"), _attributes(grant, say)
    yield ("要素", "Rows"), grant.rows or ""
    yield ("期限", "Term"), term_in_words(grant.term, say)
    yield ("样式", "Styles"), "" if grant.styles is None else _listed([style_title(one, language) for one in sorted(grant.styles)], say)
    yield ("格式", "Formats"), "" if grant.formats is None else _listed(sorted(grant.formats), say)
    yield ("坐标系", "CRS"), "" if grant.crs is None else _listed(sorted(grant.crs), say)
    yield ("网络", "Networks"), "" if grant.networks is None else _listed(sorted(grant.networks), say)
    yield ("用途", "Purposes"), "" if grant.purposes is None else _listed([names.purposes.get(one, one) for one in sorted(grant.purposes)], say)
    yield ("应用", "Applications"), "" if grant.apps is None else _listed(sorted(grant.apps), say)
    yield ("密级上限", "Ceiling"), "" if grant.ceiling is None else say(CLASSES[grant.ceiling], CLASSIFICATIONS[grant.ceiling])


def _attributes(grant: Grant, say: Say) -> str:
    if grant.attributes is None:
        return say("全部", "all")
    return _listed(sorted(grant.attributes), say) if grant.attributes else say("不含属性", "none")


def _window(finest: float | None, coarsest: float | None, told: Callable[[float], str], say: Say) -> str:
    if finest is not None and coarsest is not None:
        return say(f"{told(finest)} 至 {told(coarsest)}", f"{told(finest)} to {told(coarsest)}")
    if finest is not None:
        return say(f"不细于 {told(finest)}", f"no finer than {told(finest)}")
    return "" if coarsest is None else say(f"不粗于 {told(coarsest)}", f"no coarser than {told(coarsest)}")


def finest_scale(grant: Grant) -> float | None:
    """Ground scale denominator; None is open."""
    ends = [value for value in (grant.scale.finest, grant.resolution.finest and grant.resolution.finest / METRES_AT_ONE) if value is not None]
    return max(ends, default=None)


def term_in_words(term: Term, say: Say) -> str:
    """Days where it begins and ends with days, else moments."""
    start = term.start and (day(term.start) if moment(term.start).endswith("00:00") else moment(term.start))
    end = term.end and (last_day(term.end) if moment(term.end).endswith("00:00") else moment(term.end))
    if start and end:
        return say(f"{start} 至 {end}", f"{start} to {end}")
    if start:
        return say(f"{start} 起", f"from {start}")
    return say(f"至 {end}", f"until {end}") if end else ""


# -- areas

def area_in_words(area: Area, say: Say, names: Names) -> list[str]:
    """What its words name, part by part."""
    if area.digest == EVERYWHERE_DIGEST:
        return [say("图层全部范围", "the whole extent of the layers")]
    said = json.loads(area.words) if area.words else []
    found = [part for spec in ([said] if isinstance(said, dict) else said) for part in _places(spec, say, names)]
    return found or [area.title]


def _places(spec: Mapping, say: Say, names: Names) -> Iterator[str]:
    if "divisions" in spec:
        vintage = str(spec.get("vintage", ""))
        named = [say(f"{name}（{code}）", f"{name} ({code})") if (name := names.division(code, vintage)) else code for code in _values(spec["divisions"])]
        yield _listed(named, say) + (say(f"，{vintage} 年界线", f", as bounded in {vintage}") if vintage else "")
    if "sheets" in spec:
        sheets = _values(spec["sheets"])
        yield say(f"图幅 {len(sheets)} 幅：", f"{len(sheets)} sheets: ") + _listed(sheets, say)
    if "geojson" in spec:
        yield say("绘制的范围", "a drawn area")
    if "buffer" in spec:
        metres = spec["buffer"].get("metres", 0)
        yield say(f"绘制图形周围 {metres:g} 米", f"within {metres:g} m of a drawn shape")


def _values(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


def _listed(words: list[str], say: Say) -> str:
    shown = say("、", ", ").join(words[:MOST_NAMES])
    rest = len(words) - MOST_NAMES
    return shown + (say(f" 等 {len(words)} 项", f" and {rest} more") if rest > 0 else "")
