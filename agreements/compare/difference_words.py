"""A difference in plain sentences, Chinese and English: what is gained, what is lost, what is otherwise."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, time, timedelta
from itertools import groupby
from typing import NamedTuple

from agreements.compare.cells import OTHER, SOME_DAY, Span
from agreements.compare.difference import AmountChange, Change, Choice, Difference, LayerDifference, Obligation, Turn, ValueGround
from agreements.reasons import CHINESE, ENGLISH

MOST_NAMES = 6
"""Of one list in a sentence; the rest is counted."""

MOST_COMBINATIONS = 12


class Line(NamedTuple):
    turn: Turn
    text: str


def sentences(found: Difference, language: str) -> tuple[Line, ...]:
    """`language` is "zh" or "en". What differs in nothing says so in one sentence."""
    say = SPOKEN[language]
    lines = [Line(Turn.GAINED, say["agreement gained"].format(name)) for name in found.agreements_gained]
    lines += [Line(Turn.LOST, say["agreement lost"].format(name)) for name in found.agreements_lost]
    for one in found.layers:
        lines += _of_layers(one, say)
    lines += [_of_amount(change, say) for change in found.amounts]
    if found.texts:
        lines.append(Line(Turn.CHANGED, say["texts"].format(listed([say["fields"].get(name, name) for name in found.texts], say))))
    return tuple(lines) or (Line(Turn.CHANGED, say["nothing"]),)


# Layers

def _of_layers(one: LayerDifference, say: dict) -> Iterator[Line]:
    layers = listed([f"`{name}`" for name in one.layers], say)
    if one.turn is not Turn.CHANGED:
        operations = listed([each.operation.value for each in one.operations], say)
        ground = one.gained if one.turn is Turn.GAINED else one.lost
        yield Line(one.turn, say[f"layer {one.turn}"].format(layers=layers, km2=km2_in_words(ground.km2), operations=operations))
        return
    said = [*_of_ground(one, layers, say), *_of_values(one, layers, say), *(_of_obligation(each, layers, say) for each in one.obligations)]
    yield from said or _of_combinations(one, layers, say)


def _of_ground(one: LayerDifference, layers: str, say: dict) -> Iterator[Line]:
    for turn, ground, sheets in ((Turn.GAINED, one.gained, one.sheets_gained), (Turn.LOST, one.lost, one.sheets_lost)):
        if ground:
            named = say["sheets"].format(listed(sheets, say)) if sheets else ""
            yield Line(turn, say[f"ground {turn}"].format(layers=layers, km2=km2_in_words(ground.km2), sheets=named))


def _of_values(one: LayerDifference, layers: str, say: dict) -> Iterator[Line]:
    def alike(value: ValueGround) -> tuple:
        return value.dimension, value.turn, km2_in_words(value.ground.km2)

    for (dimension, turn, km2), values in groupby(one.values, key=alike):
        words = listed([value_in_words(value.value, dimension, say) for value in values], say)
        yield Line(turn, say[f"value {turn}"].format(layers=layers, dimension=say["dimensions"][dimension], words=words, km2=km2))


def _of_obligation(one: Obligation, layers: str, say: dict) -> Line:
    before, after = (
        say[f"{one.name} none"] if words is None else say[one.name].format(listed(words, say)) for words in (one.before, one.after)
    )
    return Line(one.turn, say["obligation"].format(layers=layers, before=before, after=after, km2=km2_in_words(one.ground.km2)))


def _of_combinations(one: LayerDifference, layers: str, say: dict) -> Iterator[Line]:
    """What shows in no single dimension: attributes that can no longer be asked together, a style at some scales alone."""
    turned = [(turn, ground, change) for change in one.changes for turn, ground in ((Turn.GAINED, change.gained), (Turn.LOST, change.lost)) if ground]
    for turn, ground, change in turned[:MOST_COMBINATIONS]:
        yield Line(turn, say[f"combination {turn}"].format(layers=layers, case=case_in_words(change, say), km2=km2_in_words(ground.km2)))
    if len(turned) > MOST_COMBINATIONS:
        yield Line(Turn.CHANGED, say["combinations more"].format(layers=layers, number=len(turned) - MOST_COMBINATIONS))


def case_in_words(change: Change, say: dict) -> str:
    """Which requests a change is about, by every field that matters."""
    parts = [listed(sorted(change.operations), say)]
    parts += [_spans(spans, dimension, say) for dimension, spans in (("at", change.at), ("scale", change.scales)) if spans != (Span(None, None),)]
    for name, dimension in CHOICES.items():
        choice: Choice = getattr(change, name)
        if not choice.is_any:
            words = listed([_name(value, dimension, say) for value in sorted(choice.values, key=_order)], say)
            parts.append(say["all but" if choice.is_all_but else "with"].format(dimension=say["dimensions"][dimension], words=words))
    return say["comma"].join(parts)


CHOICES = {
    "purpose": "purpose", "app": "app", "networks": "network", "format": "format", "crs": "crs", "style": "style", "attributes": "attribute",
}


def _order(value) -> tuple:
    return (len(value), *sorted(value)) if isinstance(value, frozenset) else (1, value)


def _name(value, dimension: str, say: dict) -> str:
    if not isinstance(value, frozenset):
        return value_in_words(value, dimension, say)
    if not value:
        return say["elsewhere" if dimension == "network" else "no attribute"]
    if dimension == "network":
        return f"`{max(value, key=_prefix)}`"
    return "+".join(value_in_words(name, dimension, say) for name in sorted(value))


def _prefix(block: str) -> int:
    return int(block.rpartition("/")[2]) if block.rpartition("/")[2].isdigit() else 0


def _spans(spans: Sequence[Span], dimension: str, say: dict) -> str:
    return listed([value_in_words(span, dimension, say) for span in spans], say)


def value_in_words(value: str | Span, dimension: str, say: dict) -> str:
    if isinstance(value, Span):
        return _span(value, _last_day if dimension == "at" else _scale, _first_day if dimension == "at" else _scale, say)
    if value == OTHER:
        return say["any other"]
    return value if dimension == "operation" else f"`{value}`"


def _span(span: Span, high: Callable, low: Callable, say: dict) -> str:
    if span.low is None and span.high is None:
        return say["always"]
    if span.low is None or span.high is None:
        return say["up to"].format(high(span.high)) if span.low is None else say["from"].format(low(span.low))
    return low(span.low) if span.low == span.high else say["from to"].format(low(span.low), high(span.high))


def _scale(denominator: float) -> str:
    return f"1:{denominator:,.0f}"


def _first_day(moment: datetime) -> str:
    local = moment.astimezone(SOME_DAY.tzinfo)
    return local.date().isoformat() if local.time() == time() else local.isoformat(sep=" ", timespec="minutes")[:16]


def _last_day(moment: datetime) -> str:
    """Midnight ends the day before."""
    local = moment.astimezone(SOME_DAY.tzinfo)
    return (local.date() - timedelta(days=1)).isoformat() if local.time() == time() else _first_day(moment)


def km2_in_words(value: float) -> str:
    """
    >>> [km2_in_words(value) for value in (0.0004, 3.14159, 123.45, 104_857.6)]
    ['0.0004', '3.14', '123.5', '104,858']
    """
    if value < 0.01:
        return f"{value:.1g}"
    return f"{value:.2f}" if value < 100 else f"{value:,.1f}" if value < 10_000 else f"{value:,.0f}"


def listed(words: Iterable[str], say: dict) -> str:
    words = list(words)
    shown = say["and"].join(words[:MOST_NAMES])
    return shown + (say["more"].format(len(words) - MOST_NAMES) if len(words) > MOST_NAMES else "")


# Amounts

def _of_amount(change: AmountChange, say: dict) -> Line:
    what = say["amounts"][change.name] + (say["windows"][change.window] if change.window else "")
    if change.resolution is not None:
        what += say["finer than"].format(f"{change.resolution:g}")
    before, after = (say["unlimited"] if value is None else f"{value:,.10g}" for value in (change.before, change.after))
    return Line(change.turn, say["amount"].format(name=change.agreement_id, what=what, before=before, after=after))


SPOKEN: dict[str, dict] = {
    ENGLISH: {
        "nothing": "nothing changes: every request is answered as before",
        "agreement gained": "agreement `{}` is new", "agreement lost": "agreement `{}` is gone",
        "layer gained": "{layers} can be seen: {km2} km2, by {operations}", "layer lost": "{layers} can no longer be seen: {km2} km2, by {operations}",
        "ground gained": "{layers}: {km2} km2 of ground more{sheets}", "ground lost": "{layers}: {km2} km2 of ground less{sheets}",
        "sheets": " (sheets {})",
        "value gained": "{layers}: {dimension} {words} on {km2} km2, not possible before",
        "value lost": "{layers}: {dimension} {words} on {km2} km2, no longer possible",
        "obligation": "{layers}: {after} instead of {before}, on {km2} km2",
        "rows": "only rows where {}", "rows none": "all rows", "degrade": "cells no finer than {} m", "degrade none": "cells as they are",
        "mark": "the mark {}", "mark none": "no mark",
        "combination gained": "{layers}: {case}: possible on {km2} km2, was not", "combination lost": "{layers}: {case}: no longer possible on {km2} km2",
        "combinations more": "{layers}: {number} more combinations differ",
        "with": "{dimension} {words}", "all but": "{dimension} other than {words}", "no attribute": "none", "elsewhere": "elsewhere", "any other": "any other",
        "always": "at any", "up to": "up to {}", "from": "from {}", "from to": "{} to {}", "and": ", ", "comma": "; ", "more": " and {} more",
        "amount": "agreement `{name}`: {what} {after}, was {before}", "unlimited": "without limit", "finer than": " (pixels of {} m or finer)",
        "texts": "otherwise worded, and no request depends on it: {}", "fields": {},
        "dimensions": {
            "at": "time", "operation": "operation", "scale": "scale", "attribute": "attribute", "format": "format", "crs": "CRS", "style": "style",
            "network": "network", "purpose": "purpose", "app": "application",
        },
        "amounts": {
            "rate": "requests a second", "burst": "requests at once", "export_km2": "km2 of downloads in the term", "requests": "requests",
            "megapixels": "megapixels", "features": "features", "bytes": "bytes", "km2": "km2 of ground",
        },
        "windows": {"day": " a day", "month": " a month", "term": " in the term"},
    },
    CHINESE: {
        "nothing": "无变化：所有请求的结果与此前相同",
        "agreement gained": "新增协议 `{}`", "agreement lost": "取消协议 `{}`",
        "layer gained": "新增图层 {layers}：{km2} 平方千米，操作 {operations}", "layer lost": "取消图层 {layers}：{km2} 平方千米，操作 {operations}",
        "ground gained": "{layers}：范围增加 {km2} 平方千米{sheets}", "ground lost": "{layers}：范围减少 {km2} 平方千米{sheets}",
        "sheets": "（图幅 {}）",
        "value gained": "{layers}：新增{dimension} {words}，涉及 {km2} 平方千米", "value lost": "{layers}：取消{dimension} {words}，涉及 {km2} 平方千米",
        "obligation": "{layers}：由{before}改为{after}，涉及 {km2} 平方千米",
        "rows": "仅限满足 {} 的要素", "rows none": "全部要素", "degrade": "格网不细于 {} 米", "degrade none": "原始格网",
        "mark": "加注 {}", "mark none": "不加注",
        "combination gained": "{layers}：{case}：新增 {km2} 平方千米", "combination lost": "{layers}：{case}：减少 {km2} 平方千米",
        "combinations more": "{layers}：另有 {number} 种组合不同",
        "with": "{dimension} {words}", "all but": "{dimension}为 {words} 以外", "no attribute": "无", "elsewhere": "其他网络", "any other": "其他任何",
        "always": "任意", "up to": "至 {}", "from": "{} 起", "from to": "{} 至 {}", "and": "、", "comma": "，", "more": "等另 {} 项",
        "amount": "协议 `{name}`：{what}由 {before} 改为 {after}", "unlimited": "不限", "finer than": "（像元不大于 {} 米）",
        "texts": "仅文字变更，不影响任何请求：{}",
        "fields": {
            "title": "名称", "contact": "联系方式", "purpose": "用途", "credit": "署名", "basis": "依据", "contributions": "回馈数据", "is_emergency": "应急",
            "record.parties": "当事方", "record.principle": "原则", "record.renewal": "续签", "record.contributions": "回馈数据", "record.use": "使用限制",
            "record.security": "保密", "record.coordination": "协调", "record.review": "评估", "record.delivery": "交付", "record.fees": "费用", "record.liability": "责任",
            "record.breach": "违约", "record.attachments": "附件",
        },
        "dimensions": {
            "at": "期限", "operation": "操作", "scale": "比例尺", "attribute": "属性", "format": "格式", "crs": "坐标系", "style": "样式", "network": "网络",
            "purpose": "用途", "app": "应用",
        },
        "amounts": {
            "rate": "每秒请求数", "burst": "突发请求数", "export_km2": "协议期内下载面积（平方千米）", "requests": "请求数", "megapixels": "百万像元数",
            "features": "要素数", "bytes": "字节数", "km2": "地面面积（平方千米）",
        },
        "windows": {"day": "（每日）", "month": "（每月）", "term": "（协议期内）"},
    },
}
