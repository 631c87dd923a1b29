"""What we say, in Chinese and in English: one sentence for every code.

Why an agreement did not count is told by `agreements.terms.sentence`.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import parse_qsl

from tiles.requests import FAULTS

CHINESE, ENGLISH = "zh", "en"
LANGUAGES = (CHINESE, ENGLISH)

LANGUAGE_RANGE = re.compile(r"\s*([A-Za-z]{1,8}|\*)(?:-[A-Za-z0-9-]{1,32})?\s*(?:;\s*q=([01](?:\.[0-9]{0,3})?)\s*)?")


def language_of(environ: Mapping) -> str:
    """`zh` or `en`: what `?lang=` says, else what Accept-Language prefers, else English.

    >>> language_of({"QUERY_STRING": "lang=zh"}), language_of({"HTTP_ACCEPT_LANGUAGE": "fr, en;q=0.8, zh-TW;q=0.9"}), language_of({})
    ('zh', 'zh', 'en')
    """
    if language := _asked(environ.get("QUERY_STRING", "")):
        return language
    liking = {CHINESE: 0.0, ENGLISH: 0.0}
    for part in environ.get("HTTP_ACCEPT_LANGUAGE", "")[:500].split(","):
        if (match := LANGUAGE_RANGE.fullmatch(part)) and (name := match.group(1).lower()) in liking:
            liking[name] = max(liking[name], float(match.group(2) or 1))
    return CHINESE if liking[CHINESE] > liking[ENGLISH] else ENGLISH


def _asked(query: str) -> str | None:
    if "lang" not in query.lower():
        return None
    try:
        pairs = parse_qsl(query, max_num_fields=200)
    except ValueError:
        return None
    return next((value for name, value in pairs if name.lower() in ("lang", "language") and value in LANGUAGES), None)


def sentence(code: str, detail: Mapping[str, str], language: str) -> str:
    """The sentence called `code`, with `detail` in its places.

    Raises
    ------
    KeyError
        There is no such sentence: a bug.
    """
    if code in FAULTS:
        return (FAULTS_IN_CHINESE if language == CHINESE else FAULTS)[code].format(**detail)
    return SENTENCES[code][LANGUAGES.index(language)].format(**detail)


FAULTS_IN_CHINESE = MappingProxyType({
    "repeated": "参数 `{name}` 出现了 {count} 次：请只给一次",
    "too-many-parameters": "查询参数超过 {most} 个：请去掉本服务不认识的参数",
    "missing": "缺少参数 `{name}`：请补上后再试",
    "too-long": "参数 `{name}` 有 {count} 个字符：最多读取 {most} 个",
    "not-one-of": "参数 `{name}` 的值 `{value}` 不可用：须为 {choices} 之一",
    "not-a-number": "参数 `{name}` 中的 `{value}` 不是数：须为普通十进制数，如 120.5",
    "not-a-whole-number": "参数 `{name}` 的值 `{value}` 不可用：须为 {least} 至 {most} 的整数",
    "bbox-not-four": "`BBOX` 有 {count} 个值：须为逗号分隔的四个数，顺序为 {order}",
    "bbox-order": "`BBOX` 为空或次序颠倒：此版本中 {crs} 的顺序为 {order}，最小值须小于最大值",
    "bbox-far": "`BBOX` 超出 {crs} 能表达的范围：此版本中的顺序为 {order}，请检查坐标轴次序",
    "bbox-fine": "`BBOX` 相对 `WIDTH` x `HEIGHT` 太小：一个像素已小于坐标的分辨能力",
    "crs-not-served": "坐标系 `{value}` 未提供服务：可用 {choices}",
    "crs-spelling": "WMS {version} 没有参数 `{wrong}`：请用 `{name}` 给出坐标系",
    "crs-ambiguous": "`SRS` 与 `CRS` 不一致：按 WMS {version} 只给 `{name}`",
    "layer-name": "`{value}` 不是图层名：由小写字母、数字、`-` 和 `_` 组成，需要时后接 `@版本`",
    "style-name": "`{value}` 不是样式名：各图层的样式见服务能力文档",
    "styles-count": "`STYLES` 给了 {count} 个样式，而图层有 {layers} 个：请一一对应，或留空",
    "not-in-layers": "`QUERY_LAYERS` 中的 `{value}` 不在 `LAYERS` 中：请在两处都写上",
    "colour": "`BGCOLOR` 的值 `{value}` 不可用：须为 0xRRGGBB，如 0xFFFFFF",
    "refused-parameter": "不接受参数 `{name}`：本服务不执行客户端的样式、过滤或属性列表，请去掉它",
    "no-dimension": "不接受参数 `{name}`：版本写在图层名里，如 `dom@2011`",
    "not-offered": "不提供 `{value}`：可用 {choices}",
    "version": "不提供 {service} 的 `{value}` 版：可用 {choices}",
    "too-many-pixels": "{width} x {height} 像素超过本服务一次绘制的上限：最多 {most} 像素，每边最多 {side}",
    "too-many-layers": "{count} 个图层超过本服务一次绘制的上限：最多 {most} 个",
    "no-such-matrix": "`{tms}` 没有级别 `{value}`：有 {least} 至 {most} 级",
    "no-such-tile": "`{tms}` 第 {z} 级没有行 {row}、列 {col}：共 {rows} 行 {cols} 列，从左上角以 0 起计",
})
"""The sentences of `tiles.requests.FAULTS`, name by name."""

SENTENCES = MappingProxyType({
    "key-missing": (
        "需要密钥：以用户名（机构）和密码（密钥）登录，或在地址中加 ?key=，或用请求头 X-API-Key",
        "a key is needed: sign in with your agency as user and the key as password, add ?key= to the address, or send the header X-API-Key",
    ),
    "key-unknown": (
        "密钥不可用：请核对，或向共享平台重新申领",
        "the key does not count: check it, or ask the sharing service for a new one",
    ),
    "key-ambiguous": (
        "请求中有两个不同的密钥：请只给一个",
        "the request holds two different keys: send one",
    ),
    "not-shared": (
        "图层 `{layer}` 不存在或未共享给你单位：可用图层见服务能力文档或 /api/v1/layers；需要时请向{contact}申请",
        "layer `{layer}` is not defined or not shared with you: see the layers shared with you in the capabilities or /api/v1/layers, "
        "or ask {contact} for an agreement",
    ),
    "nobody-named": ("测绘主管部门", "the surveying bureau"),
    "refused": ("图层 `{layer}`：{reasons}", "layer `{layer}`: {reasons}"),
    "style-not-defined": (
        "图层 `{layer}` 没有样式 `{style}`：可用 {choices}",
        "layer `{layer}` has no style `{style}`: ask for one of {choices}",
    ),
    "outside-crs": (
        "所求范围超出坐标系能表达的范围：请缩小范围或换用另一坐标系",
        "the extent asked leaves what its reference system can express: ask for a smaller one, or in another system",
    ),
    "datum-refused": (
        "图层与所求坐标系之间没有经批准的基准转换：请换用另一坐标系",
        "there is no approved transformation between the layer's datum and the one asked for: ask in another reference system",
    ),
    "not-trusted": (
        "协议登记或目录暂时无法核实，因此不提供服务：请稍后再试",
        "the register of agreements or the catalogue can't be verified now, so nothing is served: try again shortly",
    ),
    "render-failed": ("数据源暂时无法读取：请稍后再试", "a data source can't be read now: try again shortly"),
    "no-route": ("此地址没有服务：服务入口见 /ows、/wmts、/tiles 和 /api/v1/layers",
                 "nothing is served at this address: see /ows, /wmts, /tiles and /api/v1/layers"),
    "no-method": ("此地址只接受 {allowed}", "this address takes {allowed} only"),
    "http": ("请求无法处理：{name}", "the request can't be handled: {name}"),
    "unexpected": ("服务出错，已记录为 `{incident}`：请告知平台运维",
                   "the service failed and has noted it as `{incident}`: tell the operator of the service"),
    # words of pages and documents
    "service-title": ("地理空间信息共享服务", "Geospatial sharing service"),
    "service-abstract": (
        "按共建共享协议提供的影像、高程与线划图：本文档只列出共享给 {agency} 的图层、范围与比例尺",
        "Orthophotos, elevation and line maps under sharing agreements: this document lists only what is shared with {agency}",
    ),
    "access-constraints": ("仅限协议约定的单位与用途", "only for the parties and purposes of the sharing agreements"),
    "edition": ("{title}（{edition} 版）", "{title} ({edition} edition)"),
    "synthetic": ("合成演示数据，不代表真实地物", "Synthetic demonstration data: it shows nothing real"),
    "nothing-here": ("此处没有可告知的内容", "Nothing to tell here"),
    "height": ("高程（米）", "Height (m)"),
})
"""Chinese, English."""

STYLE_TITLES = MappingProxyType({
    "default": ("默认样式", "Default"),
    "hillshade": ("晕渲", "Hillshade"),
    "relief": ("分层设色", "Colour relief"),
    "shaded-relief": ("晕渲分层设色", "Hillshade over colour relief"),
    "slope": ("坡度", "Slope"),
    "topographic": ("地形图", "Topographic"),
    "unlabelled": ("无注记", "Without labels"),
})
"""Chinese, English."""


def style_title(style: str, language: str) -> str:
    return STYLE_TITLES.get(style, (style, style))[LANGUAGES.index(language)]
