"""Every reason for a decision, with its sentence in Chinese and English: what rule, which agreement and clause, whom to ask.

A sentence speaks of the asker's own agreements alone, never of what else exists (design R13).
"""

from agreements.model import Reason

CHINESE, ENGLISH = "zh", "en"

SENTENCES: dict[str, dict[str, str]] = {
    "granted": {
        ENGLISH: "granted by {clause} ({area})",
        CHINESE: "由{clause}授予（{area}）",
    },
    "own-layer": {
        ENGLISH: "the layer belongs to the agency that asks: no agreement is needed",
        CHINESE: "图层属于请求单位自己：无需协议",
    },
    "no-agreement": {
        ENGLISH: "no agreement shares this layer with your agency, or there is no such layer: ask {contact}",
        CHINESE: "没有协议向贵单位共享该图层，或该图层不存在：请联系{contact}",
    },
    "layer-not-granted": {
        ENGLISH: "{clause} grants {granted}, not this layer: ask {contact} for an amendment",
        CHINESE: "{clause}授予的图层为 {granted}，不含所请求的图层：如需增加请联系{contact}",
    },
    "superseded": {
        ENGLISH: "{clause} has been replaced by a newer version of the agreement: see that one, or ask {contact}",
        CHINESE: "{clause}已被该协议的新版本取代：请以新版本为准，或联系{contact}",
    },
    "grantor-not-owner": {
        ENGLISH: "{clause} grants nothing of this layer, since its grantor does not own it: ask {contact} for an agreement with the owner",
        CHINESE: "{clause}的授予方不是该图层的所有者，授予无效：请联系{contact}，与所有者另订协议",
    },
    "suspended": {
        ENGLISH: "{clause} is suspended{until}: {why}; ask {contact}",
        CHINESE: "{clause}已暂停{until}：{why}；请联系{contact}",
    },
    "suspended agreement": {
        ENGLISH: "{clause} does not count while the agreement is suspended: ask {contact}",
        CHINESE: "{clause}所在协议已暂停，暂不生效：请联系{contact}",
    },
    "suspended part": {
        ENGLISH: "{clause} is suspended in {area}{until}: {why}; ask {contact}",
        CHINESE: "{clause}在{area}范围内已暂停{until}：{why}；请联系{contact}",
    },
    "suspended grant": {
        ENGLISH: "{clause} is wholly taken away by a suspension: ask {contact}",
        CHINESE: "{clause}的授予范围已被暂停全部覆盖：请联系{contact}",
    },
    "not-active": {
        ENGLISH: "{clause} does not count: the agreement is {state}; ask {contact}",
        CHINESE: "{clause}不生效：协议状态为 {state}；请联系{contact}",
    },
    "not-in-force before": {
        ENGLISH: "{clause} is not in force before {moment}: wait until then, or ask {contact}",
        CHINESE: "{clause}自 {moment} 起生效，目前尚未生效：请届时再试，或联系{contact}",
    },
    "not-in-force after": {
        ENGLISH: "{clause} ended at {moment}: ask {contact} to renew it",
        CHINESE: "{clause}已于 {moment} 到期：请联系{contact}续签",
    },
    "operation-not-granted": {
        ENGLISH: "{clause} grants {granted}, not `{asked}`: use one of those, or ask {contact}",
        CHINESE: "{clause}授予的操作为 {granted}，不含 `{asked}`：请使用所授操作，或联系{contact}",
    },
    "outside-area": {
        ENGLISH: "{clause} grants {area}, and what was asked lies outside: look there, or ask {contact}",
        CHINESE: "{clause}授予的范围为{area}，所请求的位置在范围之外：请在该范围内浏览，或联系{contact}",
    },
    "outside-scale too-fine": {
        ENGLISH: "{clause} grants nothing finer than 1:{limit}, and 1:{asked} was asked: zoom out, or ask {contact}",
        CHINESE: "{clause}授予的最大比例尺为 1:{limit}，所请求的 1:{asked} 过大：请缩小地图，或联系{contact}",
    },
    "outside-scale too-coarse": {
        ENGLISH: "{clause} grants nothing coarser than 1:{limit}, and 1:{asked} was asked: zoom in, or ask {contact}",
        CHINESE: "{clause}授予的最小比例尺为 1:{limit}，所请求的 1:{asked} 过小：请放大地图，或联系{contact}",
    },
    "outside-resolution too-fine": {
        ENGLISH: "{clause} grants no pixels finer than {limit} m on the ground, and {asked} m was asked: zoom out, or ask {contact}",
        CHINESE: "{clause}授予的地面分辨率不优于 {limit} 米，所请求的 {asked} 米过细：请缩小地图，或联系{contact}",
    },
    "outside-resolution too-coarse": {
        ENGLISH: "{clause} grants no pixels coarser than {limit} m on the ground, and {asked} m was asked: zoom in, or ask {contact}",
        CHINESE: "{clause}授予的地面分辨率不低于 {limit} 米，所请求的 {asked} 米过粗：请放大地图，或联系{contact}",
    },
    "network-not-granted": {
        ENGLISH: "{clause} counts only from the networks {granted}: ask from there, or ask {contact}",
        CHINESE: "{clause}仅限从网络 {granted} 访问：请从该网络访问，或联系{contact}",
    },
    "purpose-not-granted": {
        ENGLISH: "{clause} is for the purposes {granted}, and the key is for `{asked}`: use a key for one of those, or ask {contact}",
        CHINESE: "{clause}限定的用途为 {granted}，而密钥的用途为 `{asked}`：请使用相应用途的密钥，或联系{contact}",
    },
    "app-not-granted": {
        ENGLISH: "{clause} is for the applications {granted}, and the key belongs to `{asked}`: use a key of one of those, or ask {contact}",
        CHINESE: "{clause}限定的应用为 {granted}，而密钥属于 `{asked}`：请使用相应应用的密钥，或联系{contact}",
    },
    "above-ceiling": {
        ENGLISH: "{clause} does not reach up to the classification of this layer: ask {contact}",
        CHINESE: "{clause}授予的最高密级低于该图层的密级：请联系{contact}",
    },
    "parent-not-granting": {
        ENGLISH: "{clause} passes on what agreement `{parent}` grants, and that one does not grant this: ask {contact}",
        CHINESE: "{clause}转授的内容以协议 `{parent}` 的授予为限，该协议未授予所请求的内容：请联系{contact}",
    },
    "over-quota": {
        ENGLISH: "the quota of {clause} is used up: wait until it begins anew, or ask {contact}",
        CHINESE: "{clause}的配额已用完：请等待配额恢复，或联系{contact}",
    },
    "over-quota window": {
        ENGLISH: "{clause} holds no more: {most} {measure} {window} are agreed, and what was asked goes beyond; it begins anew at {moment}, or ask "
                 "{contact}",
        CHINESE: "{clause}的配额不足：协议约定{window}最多 {most} {measure}，所请求的内容将超出；配额于 {moment} 重新计算，也可联系{contact}",
    },
    "over-quota term": {
        ENGLISH: "{clause} holds no more: {most} {measure} {window} are agreed, and what was asked goes beyond; it does not begin anew, so "
                 "ask {contact} for an amendment",
        CHINESE: "{clause}的配额不足：协议约定{window}最多 {most} {measure}，所请求的内容将超出；期内不再重新计算，如需增加请联系{contact}",
    },
    "over-quota rate": {
        ENGLISH: "the agreement of {clause} allows {most} requests a second on the whole: ask again from {moment}, more slowly, or ask {contact}",
        CHINESE: "{clause}所在协议约定平均每秒最多 {most} 次请求：请于 {moment} 后放慢速度再试，或联系{contact}",
    },
    "over-quota export": {
        ENGLISH: "the exports under the agreement of {clause} would come to more than {most} km2 of ground in all: ask for ground that was exported "
                 "already, or ask {contact}",
        CHINESE: "{clause}所在协议约定累计导出的不重复面积不超过 {most} 平方公里，本次导出将超出：请在已导出的范围内导出，或联系{contact}",
    },
    "over-quota above": {
        ENGLISH: "{clause} passes on what another agreement grants, whose quota is used up for now: wait, or ask {contact}",
        CHINESE: "{clause}转授的上级协议的配额暂已用完：请稍后再试，或联系{contact}",
    },
    "format-not-granted": {
        ENGLISH: "{clause} grants {granted}, not `{asked}`: ask for one of those formats, or ask {contact}",
        CHINESE: "{clause}授予的格式为 {granted}，不含 `{asked}`：请改用所授格式，或联系{contact}",
    },
    "crs-not-granted": {
        ENGLISH: "{clause} grants {granted}, not `{asked}`: use one of those CRS, or ask {contact}",
        CHINESE: "{clause}授予的坐标系为 {granted}，不含 `{asked}`：请改用所授坐标系，或联系{contact}",
    },
    "style-not-granted": {
        ENGLISH: "{clause} grants {granted}, not `{asked}`: use one of those styles, or ask {contact}",
        CHINESE: "{clause}授予的样式为 {granted}，不含 `{asked}`：请改用所授样式，或联系{contact}",
    },
    "attribute-not-granted": {
        ENGLISH: "{clause} grants no attribute `{asked}`, or there is none: leave it out, or ask {contact}",
        CHINESE: "{clause}未授予属性 `{asked}`，或该属性不存在：请去掉它，或联系{contact}",
    },
    "attribute-not-granted style": {
        ENGLISH: "this style, or legend, shows attributes that {clause} does not grant: ask for another style, or ask {contact}",
        CHINESE: "此样式或图例会显示{clause}未授予的属性：请改用其他样式，或联系{contact}",
    },
    "not-evaluable": {
        ENGLISH: "the area of {clause} ({area}) can't be evaluated, so it grants nothing: ask {contact} to register the agreement anew",
        CHINESE: "{clause}的范围（{area}）无法判定，因此不授予任何内容：请联系{contact}重新登记协议",
    },
    "not-evaluable rows": {
        ENGLISH: "the filter of {clause} can't be evaluated, so it grants nothing: ask {contact} to register the agreement anew",
        CHINESE: "{clause}的要素筛选条件无法判定，因此不授予任何内容：请联系{contact}重新登记协议",
    },
    "not-evaluable kind": {
        ENGLISH: "{clause} holds a condition that layers of this kind can't meet, so it grants nothing of this one: ask {contact} for an amendment",
        CHINESE: "{clause}含有不适用于该类图层的条件，因此不授予该图层的任何内容：请联系{contact}修订协议",
    },
    "extent-not-evaluable": {
        ENGLISH: "the extent that was asked is empty or crosses itself, so nothing can be shown of it: ask for a plain box or polygon",
        CHINESE: "所请求的范围为空或自相交，无法判定：请改用普通矩形或多边形",
    },
}
"""By code, or by "code case" where a reason has several: `detail["case"]` says which."""

REASON_CODES: tuple[str, ...] = tuple(dict.fromkeys(name.partition(" ")[0] for name in SENTENCES))
"""Every code that a Reason can have: `code` is for machines and is never renamed."""

THE_GRANTOR = {ENGLISH: "the party that grants it", CHINESE: "授予方"}
THE_BUREAU = {ENGLISH: "the surveying bureau", CHINESE: "测绘主管部门"}
UNTIL = {ENGLISH: " until {}", CHINESE: "至 {}"}


NOUNS = {
    "requests": {ENGLISH: "requests", CHINESE: "次请求"},
    "megapixels": {ENGLISH: "megapixels", CHINESE: "百万像素"},
    "features": {ENGLISH: "features", CHINESE: "个要素"},
    "bytes": {ENGLISH: "bytes", CHINESE: "字节"},
    "km2": {ENGLISH: "km2 of distinct ground", CHINESE: "平方公里（不重复面积）"},
    "day": {ENGLISH: "a day", CHINESE: "每日"},
    "month": {ENGLISH: "a month", CHINESE: "每月"},
    "term": {ENGLISH: "in the whole term", CHINESE: "在整个协议期内"},
}
"""Measures and windows of a quota (quota.py)."""

NAMED = frozenset({"measure", "window"})
"""Details whose values are among NOUNS."""


def sentence(reason: Reason, language: str) -> str:
    """`reason` in words: `language` is "zh" or "en".

    Raises
    ------
    KeyError
        A code that is not in REASON_CODES, or a language that we do not speak: a bug.
    """
    detail = {name: NOUNS[value][language] if name in NAMED else value for name, value in reason.detail.items()}
    case = detail.pop("case", "")
    until = detail.pop("until", "")
    template = SENTENCES[f"{reason.code} {case}" if case else reason.code][language]
    nobody = (THE_GRANTOR if reason.agreement_id else THE_BUREAU)[language]
    return template.format(
        clause=_place(reason, language), contact=reason.contact or nobody, until=UNTIL[language].format(until) if until else "", **detail,
    )


def _place(reason: Reason, language: str) -> str:
    if reason.agreement_id is None:
        return ""
    agreement = f"`{reason.agreement_id}`"
    if language == CHINESE:
        return f"协议 {agreement}（第 {reason.version} 版）" + (f"第 {reason.clause} 条" if reason.clause else "")
    return (f"clause {reason.clause} of " if reason.clause else "") + f"agreement {agreement} (version {reason.version})"
