"""A gap between an agreement and the one above it, in a plain sentence: what is granted beyond, and where."""

from agreements.compare.difference_words import SPOKEN, km2_in_words, listed, value_in_words
from agreements.compare.subset import Gap, GapCode
from agreements.reasons import CHINESE, ENGLISH


def sentence(gap: Gap, language: str) -> str:
    """`gap` in words: `language` is "zh" or "en"."""
    say, words = SPOKEN[language], SENTENCES[language]
    layers = listed([f"`{name}`" for name in gap.layers], say)
    values = listed([_spoken(gap, value, say) for value in gap.values], say)
    told = words[gap.code].format(clause=gap.clause, layers=layers, values=values, **{**gap.detail, "window": _window(gap, say)})
    return told + (words["on"].format(km2_in_words(gap.km2)) if gap.km2 is not None else "")


def _spoken(gap: Gap, value: object, say: dict) -> str:
    if gap.code is GapCode.QUOTA:
        return say["amounts"][value]
    if value == "" and gap.code is GapCode.ATTRIBUTE:
        return say["no attribute"]
    return value_in_words(value, DIMENSIONS.get(gap.code, ""), say)


def _window(gap: Gap, say: dict) -> str:
    return say["windows"].get(gap.detail.get("window", ""), "")


DIMENSIONS: dict[GapCode, str] = {GapCode.TIME: "at", GapCode.DESTRUCTION: "at", GapCode.OPERATION: "operation"}

SENTENCES: dict[str, dict[str, str]] = {
    ENGLISH: {
        GapCode.NO_PARENT: "the agreement above, `{parent}`, is not there",
        GapCode.NOT_ITS_GRANTEE: "`{parent}` is granted to `{grantee}`, and `{grantor}` can't pass it on",
        GapCode.RECIPIENT: "`{parent}` names `{grantee}` neither as contractor nor as subordinate unit, and lets nobody else have it",
        GapCode.DESTRUCTION: "it goes on when the contractor must have destroyed the data: {values}",
        GapCode.QUOTA: "more than the quota above: {values}{window}, at most {most} there",
        GapCode.LAYER: "clause {clause} grants {layers}, which the agreement above does not",
        GapCode.CEILING: "clause {clause} grants {layers} of a higher classification than the agreement above",
        GapCode.TIME: "clause {clause} counts when the agreement above does not: {values} ({layers})",
        GapCode.NETWORK: "clause {clause} counts from networks from which the agreement above does not: {values} ({layers})",
        GapCode.PURPOSE: "clause {clause} is for purposes for which the agreement above is not: {values} ({layers})",
        GapCode.APP: "clause {clause} is for applications for which the agreement above is not: {values} ({layers})",
        GapCode.OPERATION: "clause {clause} grants the operations {values} of {layers}, which the agreement above does not",
        GapCode.SCALE: "clause {clause} grants the scales {values} of {layers}, which the agreement above does not",
        GapCode.RESOLUTION: "clause {clause} grants the scales {values} of {layers}, whose pixels the agreement above does not",
        GapCode.FORMAT: "clause {clause} grants the formats {values} of {layers}, which the agreement above does not",
        GapCode.CRS: "clause {clause} grants the CRS {values} of {layers}, which the agreement above does not",
        GapCode.STYLE: "clause {clause} grants the styles {values} of {layers}, which the agreement above does not",
        GapCode.ATTRIBUTE: "clause {clause} grants the attributes {values} of {layers}, which no clause above grants together there",
        GapCode.ROWS: "the filter of clause {clause} ({layers}) is not the one above AND something more",
        GapCode.DEGRADE: "clause {clause} grants finer cells of {layers} than the agreement above",
        GapCode.AREA: "clause {clause} grants ground of {layers} that the agreement above does not",
        "on": ": {} km2",
    },
    CHINESE: {
        GapCode.NO_PARENT: "上级协议 `{parent}` 不存在",
        GapCode.NOT_ITS_GRANTEE: "`{parent}` 的被授予方是 `{grantee}`，`{grantor}` 无权转授",
        GapCode.RECIPIENT: "`{parent}` 未将 `{grantee}` 列为承包单位或下属单位，也未允许提供给第三方",
        GapCode.DESTRUCTION: "期限超出承包单位应销毁数据的日期：{values}",
        GapCode.QUOTA: "超出上级协议的配额：{values}{window}，上级最多 {most}",
        GapCode.LAYER: "第 {clause} 条授予的图层 {layers} 不在上级协议授予之列",
        GapCode.CEILING: "第 {clause} 条授予的图层 {layers} 密级高于上级协议",
        GapCode.TIME: "第 {clause} 条的期限超出上级协议：{values}（{layers}）",
        GapCode.NETWORK: "第 {clause} 条允许的网络超出上级协议：{values}（{layers}）",
        GapCode.PURPOSE: "第 {clause} 条的用途超出上级协议：{values}（{layers}）",
        GapCode.APP: "第 {clause} 条的应用超出上级协议：{values}（{layers}）",
        GapCode.OPERATION: "第 {clause} 条授予 {layers} 的操作超出上级协议：{values}",
        GapCode.SCALE: "第 {clause} 条授予 {layers} 的比例尺超出上级协议：{values}",
        GapCode.RESOLUTION: "第 {clause} 条授予 {layers} 的分辨率超出上级协议，比例尺：{values}",
        GapCode.FORMAT: "第 {clause} 条授予 {layers} 的格式超出上级协议：{values}",
        GapCode.CRS: "第 {clause} 条授予 {layers} 的坐标系超出上级协议：{values}",
        GapCode.STYLE: "第 {clause} 条授予 {layers} 的样式超出上级协议：{values}",
        GapCode.ATTRIBUTE: "第 {clause} 条授予 {layers} 的属性超出上级协议任一条款：{values}",
        GapCode.ROWS: "第 {clause} 条（{layers}）的筛选条件不是在上级条件之上的进一步限制",
        GapCode.DEGRADE: "第 {clause} 条授予 {layers} 的格网细于上级协议",
        GapCode.AREA: "第 {clause} 条授予 {layers} 的范围超出上级协议",
        "on": "：{} 平方千米",
    },
}
