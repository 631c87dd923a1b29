"""What we say, in Chinese and in English: one sentence for every code.

Why an agreement did not count is told by `agreements.terms.sentence`.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import parse_qsl

from geoserver_app.corrections.words import CORRECTION_SENTENCES
from geoserver_app.features.words import FEATURE_SENTENCES
from geoserver_app.gauging.words import GAUGE_SENTENCES
from geoserver_app.giving.words import GIVING_SENTENCES
from geoserver_app.highways.words import ROUTE_SENTENCES
from geoserver_app.live.words import LIVE_SENTENCES
from geoserver_app.overlays.words import OVERLAY_SENTENCES
from tiles.requests import FAULTS
from tiles.requests.wcs_faults import WCS_FAULTS
from tiles.requests.wfs_faults import WFS_FAULTS

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
    if code in WFS_FAULTS:
        return (WFS_FAULTS_IN_CHINESE if language == CHINESE else WFS_FAULTS)[code].format(**detail)
    if code in WCS_FAULTS:
        return (WCS_FAULTS_IN_CHINESE if language == CHINESE else WCS_FAULTS)[code].format(**detail)
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
    "time": "`TIME` 的值 `{value}` 不可用：请给出年、月、日或时刻，如 2011-06-30，或时段 2006/2011，或 `current`；一次一个",
    "no-dimension": "不接受参数 `{name}`：版本写在图层名里，如 `dom@2011`",
    "not-offered": "不提供 `{value}`：可用 {choices}",
    "version": "不提供 {service} 的 `{value}` 版：可用 {choices}",
    "too-many-pixels": "{width} x {height} 像素超过本服务一次绘制的上限：最多 {most} 像素，每边最多 {side}",
    "too-many-layers": "{count} 个图层超过本服务一次绘制的上限：最多 {most} 个",
    "no-such-matrix": "`{tms}` 没有级别 `{value}`：有 {least} 至 {most} 级",
    "no-such-tile": "`{tms}` 第 {z} 级没有行 {row}、列 {col}：共 {rows} 行 {cols} 列，从左上角以 0 起计",
    "numbers-as-png": "样式 `{value}` 的瓦片以数值表示高程：请用 png 请求，它不损失任何一位",
    "style-of-values": "样式 `{value}` 表示的是数值，不是可保存的图片：请以覆盖数据或地形瓦片获取数值",
    "datum-name": "`{name}` 为 `{value}`：应为高程基准代码，例如 1985 或 wusong",
    "too-many-places": "`{name}` 含 {count} 个点：一次最多 {most} 个",
    "places-spelling": "`{name}` 应为 {least} 个或更多的点，每点写作 x,y，点间用 `;` 分隔，例如 118.7,32.0;118.8,32.1",
    "line-of-no-length": "`LINE` 没有长度：请至少给出两个不同的点",
    "line-off-earth": "`LINE` 超出地球或 {crs} 可表达的范围：请检查 x 与 y 的次序",
    "water-level-far": "`WATER_LEVEL` 为 `{value}`：应为 -1000 至 10000 之间的米数",
    "place-off-earth": "该位置不在地球上，或超出 {crs} 可表示的范围：请检查 x、y 的次序",
    "place-not-areas": "`{value}` 不是面要素，没有位置落在其中：请查询最近的要素，或改用面要素表",
    "sheet-number": "`{value}` 不是图幅号，或有多种读法：请写成 I50G095077，或旧图号 I-50-142-(53)",
    "sheet-scale": "`{value}` 不是国家基本比例尺：请给 1000000、500000、250000、100000、50000、25000、10000、5000、2000、1000 或 500",
    "no-sheet-there": "此处没有图幅编号：纬度须为北纬 0 至 88 度，经度须为 -180 至 180",
    "too-many-sheets": "该比例尺的图幅有 {count} 幅，超过一次告知的上限或可告知的比例尺：请用 1:1 万或更小的比例尺，或缩小范围",
    "no-division": "没有行政区划 `{value}` 或该年份的界线：请给代码，如 320106",
    "no-sheets": "图层 `{value}` 不是栅格：只有栅格按图幅列出",
    "edition-name": "`{value}` 不是版本名，或与图层名中的版本不一致：请只给其一",
    "moment": "`NEWER_THAN` 的值 `{value}` 不可用：请给时刻，如 2024-03-01T00:00:00Z",
    "held": "`{value}` 没有说明已有哪幅图：请写图幅号、冒号和校验和的前 8 位或更多十六进制数字",
    "too-many-held": "列出的图幅超过 {most} 幅：请按 `bbox` 分次询问",
    "collection-name": "`{value}` 不是要素集名：由图层名、点号和表名组成，如 `dlg.HYDL` 或 `dlg@2011.HYDL`",
    "no-parameter": "此处没有参数 `{value}`：请去掉",
    "not-sorted": "不接受 `{value}`：要素只按存储次序给出，请沿 `next` 链接翻页",
    "datetime": "`datetime` 为 `{value}`：请给出时刻（如 2011-05-01T00:00:00Z），或以 `/` 隔开的两个时刻，开放的一端写 `..`",
    "filter": "无法按 `filter` 作答：{what}：{mend}。可用 =、<>、<、<=、>、>=、BETWEEN、IN、LIKE、IS NULL、AND、OR、NOT 及 S_INTERSECTS 等空间算子",
    "page-token": "`after` 不是本要素集中要素的标识：请原样使用 `next` 链接",
    "no-such-property": "本要素集没有属性 `{value}`：请查看 queryables",
    "tile-address": "`{value}` 不是瓦片：请写成 矩阵集/z/x/y，如 WebMercatorQuad/14/13596/6645",
    "too-much-to-download": "{width} x {height} 像素超过一次下载的上限：最多 {most} 像素，请分块下载或加大 RESOLUTION",
})
"""The sentences of `tiles.requests.ogc.FAULTS`, name by name."""

WFS_FAULTS_IN_CHINESE = MappingProxyType({
    "wfs-xml": "请求正文不是可读的 XML：{mend}",
    "wfs-not-taken": "不接受 `{name}`：{mend}",
    "wfs-one-type": "一次请求只能取一个要素类型：请对 `TYPENAMES` 中的每一个分别请求",
    "wfs-type-name": "`{value}` 不是要素类型的名称：请按能力文档写成 gs:dlg.HYDL 这样的形式",
    "wfs-no-type": "图层 `{layer}` 没有这个名称的表：请查看能力文档中的要素类型",
    "wfs-query": "没有存储查询 `{value}`：请用 urn:ogc:def:query:OGC-WFS::GetFeatureById 并给出 ID",
    "wfs-filter": "无法按过滤条件作答：{what}：{mend}",
    "wfs-two-filters": "FILTER、BBOX 与 RESOURCEID 互相排斥：请只给一个",
    "wfs-id": "可见的要素中没有 `{value}`",
    "wfs-after": "`AFTER` 不是本类型要素的标识：请原样使用 `next` 链接",
    "wfs-property": "要素类型 `{layer}` 没有属性 `{value}`：请查看 DescribeFeatureType",
})
"""The sentences of `tiles.requests.wfs_faults.WFS_FAULTS`, name by name."""

WCS_FAULTS_IN_CHINESE = MappingProxyType({
    "wcs-no-time": "共享给你单位的 `{layer}` 没有早至 `{value}` 的版本：请去掉 `TIME`，或写明服务能力文档中的版本",
    "wcs-box": "`BBOX` 须为逗号分隔的四个数；1.0.0 版中各坐标系均为 x_min,y_min,x_max,y_max，最小值须小于最大值",
    "wcs-far": "`{name}` 超出 {crs} 能表达的范围：请检查坐标轴次序和单位",
    "wcs-fine": "所求像素已小于坐标的分辨能力：请减少像素数",
    "wcs-both-sizes": "请给出 `WIDTH` 和 `HEIGHT`，或 `RESX` 和 `RESY`，两者必须成对，且只给一对",
    "wcs-subset": "`SUBSET` 的值 `{value}` 不可用：写法为 SUBSET=轴(低,高)，用数字或 *，低值在前",
    "wcs-slice": "`SUBSET` 的值 `{value}` 不可用：此处的覆盖没有可切片的其他轴，请给出低、高两个界限",
    "wcs-axis": "{crs} 没有轴 `{value}`：其坐标轴为 {choices}",
    "wcs-axis-twice": "`{name}` 中轴 `{value}` 出现多次：请只给一次",
    "wcs-two-crs": "各 SUBSET 的坐标系不同：请只用一个",
    "wcs-beside": "所求子集在覆盖之外：此覆盖在 {crs} 中的范围为 {reach}",
    "wcs-scale": "`{name}` 的值 `{value}` 不可用：写法有误，应为 {mend}",
    "wcs-one-scale": "SCALEFACTOR、SCALEAXES、SCALESIZE 和 SCALEEXTENT 只能给一个",
    "wcs-compression": "不提供压缩方式 `{value}`：可用 {choices}",
    "wcs-not-taken": "不接受参数 `{name}`：请去掉它",
    "wcs-bands": "覆盖 `{layer}` 没有波段 `{value}`：有 {choices}",
    "wcs-format": "覆盖 `{layer}` 不提供格式 `{value}`：可用 {choices}",
    "wcs-too-large": "{width} x {height} 像素超过本服务一次提供的上限：最多 {most} 像素，每边最多 {side}；请求子集，或缩小比例",
    "wcs-no-values": "图层 `{layer}` 没有可作为覆盖提供的数据：可用的覆盖见服务能力文档",
})
"""The sentences of `tiles.requests.wcs_faults.WCS_FAULTS`, name by name."""

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
    "band-red": ("红", "red"),
    "band-green": ("绿", "green"),
    "band-blue": ("蓝", "blue"),
    "vertical-datum": ("高程基准：{datum}。", "Vertical datum: {datum}."),
    "nobody-named": ("测绘主管部门", "the surveying bureau"),
    "refused": ("图层 `{layer}`：{reasons}", "layer `{layer}`: {reasons}"),
    "style-not-defined": (
        "图层 `{layer}` 没有样式 `{style}`：可用 {choices}",
        "layer `{layer}` has no style `{style}`: ask for one of {choices}",
    ),
    "no-edition-then": (
        "图层 `{layer}` 没有早至 `{value}` 的版本：可用 {choices}",
        "layer `{layer}` has no edition as early as `{value}`: ask for one of {choices}",
    ),
    "time-contradicts": (
        "`{layer}` 的现势性为 {period}，而 `TIME` 为 `{value}`：请去掉其一",
        "`{layer}` is of {period}, but `TIME` is `{value}`: leave one of them out",
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
    "no-route": ("此地址没有服务：服务入口见 /ows、/wmts、/wcs、/tiles 和 /api/v1/layers",
                 "nothing is served at this address: see /ows, /wmts, /wcs, /tiles and /api/v1/layers"),
    "no-method": ("此地址只接受 {allowed}", "this address takes {allowed} only"),
    "http": ("请求无法处理：{name}", "the request can't be handled: {name}"),
    "unexpected": ("服务出错，已记录为 `{incident}`：请告知平台运维",
                   "the service failed and has noted it as `{incident}`: tell the operator of the service"),
    # packages
    "packages-waiting": (
        "已有 {most} 个数据包在等待制作：请等其中一些完成，或先取消",
        "{most} packages are waiting to be made: wait until some are ready, or call some off",
    ),
    "package-layers": ("图层数须在 1 至 {most} 之间：请分几个数据包订购", "a package holds 1 to {most} layers: order several packages"),
    "package-layer-twice": ("图层 `{value}` 出现了两次：请只写一次", "layer `{value}` is there twice: name it once"),
    "package-bounds": (
        "范围须为四个数：左、下、右、上，左小于右、下小于上",
        "bounds are four numbers: left, bottom, right, top, with left less than right and bottom less than top",
    ),
    "package-drawn": ("所画的范围无法读取：请重新画", "the drawing can't be read: draw it again"),
    "package-resolution": ("分辨率须为大于零的数，单位与坐标系相同", "a resolution is a number above zero, in units of the reference system"),
    "package-resolution-crs": (
        "给出分辨率时须写明坐标系：单位由它决定",
        "a resolution needs a reference system: that is what its unit follows from",
    ),
    "package-as-delivered": (
        "原样图幅不能另定 `{name}`：请去掉它，或换用其他格式",
        "sheets as they were delivered take no `{name}`: leave it out, or ask for another format",
    ),
    "package-style": ("样式只用于 PNG 和 JPEG：请去掉它，或换用其中一种格式", "a style is for PNG and JPEG: leave it out, or ask for one of these"),
    "package-line-map": (
        "图层 `{layer}` 是矢量图层：请把格式定为 gpkg、geojson、flatgeobuf 或 shapefile；由其他服务级联的图层不能打包",
        "layer `{layer}` holds features: order it as gpkg, geojson, flatgeobuf or shapefile; a layer that another service draws is not packed",
    ),
    "package-not-features": (
        "图层 `{layer}` 是栅格图层：请把格式定为 cog、geotiff、png、jpeg 或 delivered", "layer `{layer}` holds pixels: order it as cog, geotiff, png, jpeg or delivered",
    ),
    "package-no-pixels": ("矢量文件没有分辨率：请去掉 `resolution`", "files of features have no resolution: leave it out"),
    "package-features": (
        "图层 `{layer}` 的要素在该范围内不能全部按 GetFeature 获取：请只订购可获取的部分",
        "the features of layer `{layer}` may not all be had as GetFeature in that area: order the part where they may",
    ),
    "package-numbers": (
        "图层 `{layer}` 的高程只在部分范围内可作为数值（GetCoverage）获取：请只订购那一部分，或订购图片",
        "the heights of layer `{layer}` may be had as numbers (GetCoverage) in a part of that area only: order that part, or pictures",
    ),
    "package-large": (
        "{width} x {height} 像素过大：每图层最多 {most} 像素，每行最多 {across}；请缩小范围或降低分辨率",
        "{width} x {height} pixels are too many: at most {most} a layer, {across} a row; ask for less ground or for coarser pixels",
    ),
    "package-no-data": (
        "图层 `{layer}` 在所求范围内没有数据：请检查范围或版本",
        "layer `{layer}` has no data in the area asked for: check the area, or the edition",
    ),
    "package-not-ready": ("数据包尚未完成（{state}）：请稍后再取", "the package is not ready yet ({state}): come back later"),
    "package-gone": (
        "数据包的文件已不在（{state}）：需要时请重新订购",
        "the files of the package are not there any more ({state}): order it anew where it is needed",
    ),
    "package-taken-back": (
        "数据包所依据的共享已变更或收回，文件已删除：请按现行协议重新订购",
        "what the package was shared under has changed or was taken back, and its files are deleted: order it anew under what is agreed now",
    ),
    "package-narrower": (
        "此密钥可见的范围小于数据包的内容：请用订购时的密钥，或重新订购",
        "this key may see less than the package holds: fetch it with the key it was ordered with, or order it anew",
    ),
    "package-one-range": ("一次请求只给一个字节范围（文件共 {size} 字节）", "ask for one range of bytes at a time (the file has {size})"),
    "package-range": ("所求字节范围不在文件之内（共 {size} 字节）", "nothing of the file lies in the range asked for: it has {size} bytes"),
    "package-too-often": (
        "制作多次中断，已停止：请告知平台运维", "making it was interrupted too often, and was given up: tell the operator of the service",
    ),
    "package-unsound": (
        "存储中的一幅图与交付时不一致，未予发出：请告知平台运维",
        "a sheet in the store is not what was delivered, and does not leave: tell the operator of the service",
    ),
    "package-no-room": ("磁盘空间不足：请告知平台运维，稍后重新订购", "the disk is full: tell the operator of the service, and order it again later"),
    "package-unreadable": ("数据源无法读取：请告知平台运维", "a data source can't be read: tell the operator of the service"),
    "package-failed": ("制作失败：请告知平台运维", "it could not be made: tell the operator of the service"),
    "package-title": ("数据包说明", "About this package"),
    "package-use-credit": (
        "使用成果时须在显著位置标注数据来源。", "Name the source of the data in a conspicuous place wherever they are used.",
    ),
    "package-use-parties": (
        "仅限协议约定的单位用于约定的用途；不得转让、出借或提供给第三方。",
        "Only the parties may use the data, for the purposes agreed; they may not be handed, lent or passed on to anybody else.",
    ),
    "package-use-internet": (
        "未经书面同意，不得在互联网上公开数据或其衍生成果。",
        "Neither the data nor what is derived from them may be published on the internet without consent in writing.",
    ),
    "package-use-converted": (
        "转换格式、坐标系或裁切后的数据与原始数据受同样约束。",
        "Data in another format or reference system, or cut, are bound by the same terms as the data themselves.",
    ),
    "package-use-secrecy": (
        "按密级保管；协议终止或收回时须销毁副本并回执。",
        "Keep them as their classification demands; when the agreement ends or is taken back, destroy all copies and certify it.",
    ),
    "package-axes-east": (
        "文件中坐标以东（经度）在前、北（纬度）在后", "coordinates in the files are east (longitude) before north (latitude)",
    ),
    "package-axes-north": (
        "文件中坐标以东（经度）在前、北（纬度）在后；该坐标系的登记轴序相反",
        "coordinates in the files are east (longitude) before north (latitude); the register of this system has them the other way round",
    ),
    "package-step-moved": ("重采样到 {crs}，每个像素只计算一次。", "Resampled to {crs}, each pixel once."),
    "package-step-features": (
        "几何裁切到授权范围并换算到 {crs}，属性与要素按授权给出；feature 字段为不透明标识。",
        "Shapes cut to what is granted and moved to {crs}, with the attributes and rows that are; the field `feature` is an opaque name.",
    ),
    "package-step-utf8": ("表 {table} 含 GBK 以外的字符，以 UTF-8 写出。", "Table {table} holds characters outside GBK and is written in UTF-8."),
    "package-step-long": ("表 {table} 中超过 254 字节的文字被截断。", "Texts of more than 254 bytes in table {table} are cut."),
    "package-step-names": ("表 {table} 的字段名缩短为：{names}。", "Names of fields of table {table} are shortened: {names}."),
    "package-step-delivered": (
        "完全在授权范围内的图幅为交付原件，校验和已核对；其余图幅按授权范围裁切。",
        "Sheets wholly within what is granted are the files as delivered, their checksums compared; others are cut to it.",
    ),
    "package-step-cut": ("裁切到授权范围：像素中心在界内的保留，界外为空值。", "Cut to what is granted: pixels whose centre lies within it; nodata outside."),
    "package-step-strict": (
        "涉密图层：只保留其来源像素全部在授权范围内的像素，界外为空值。",
        "Classified layer: only pixels all of whose source pixels lie within what is granted; nodata outside.",
    ),
    "package-step-degraded": ("降级到 {cell} 米固定格网。", "Degraded to a fixed grid of {cell} m."),
    "package-step-marked": ("写有协议约定的可见标记。", "It bears the visible mark of the agreement."),
    "package-step-jpeg": ("以 JPEG 压缩（有损）。", "Compressed as JPEG, with loss."),
    # contributions
    "contribution-not-owed": (
        "协议 `{agreement}` 没有约定回馈数据 `{dataset}`：约定的有 {datasets}",
        "agreement `{agreement}` asks for no contribution `{dataset}`: it asks for {datasets}",
    ),
    "contribution-no-period": (
        "`{dataset}` 没有 {day} 到期的一期：应为 {days} 等到期日之一",
        "`{dataset}` has no period due on {day}: name a due day such as {days}",
    ),
    "contribution-nothing-open": (
        "`{dataset}` 目前没有待交的一期：请用到期日指明是哪一期",
        "nothing of `{dataset}` is open now: name the period by its due day",
    ),
    "contribution-span": (
        "从 {since} 到 {due} 不成一段：起始到期日须在前，且相距不超过一年",
        "from {since} to {due} is no span: the first due day comes first, and at most a year before the last",
    ),
    "contribution-no-statement": (
        "协议约定 `{dataset}` 须提交数据，不接受“无变化”说明：请提交数据",
        "the agreement takes no statement of no change for `{dataset}`: deliver the data",
    ),
    "contribution-statement-empty": (
        "“无变化”说明没有内容：请写明哪些数据、哪段时间没有变化",
        "the statement of no change says nothing: write what has not changed, and since when",
    ),
    "contribution-has-cadence": (
        "`{dataset}` 按周期 {cadence} 提交，不按事件：请用到期日指明是哪一期",
        "`{dataset}` is due by its cadence {cadence}, not by event: name the period by its due day",
    ),
    "contribution-no-delivery": (
        "没有编号为 `{delivery}` 的提交：编号见回馈台账",
        "there is no delivery `{delivery}`: the ledger of contributions lists them",
    ),
    "contribution-findings-missing": (
        "退回时须写明质检发现的问题：请补充，以便对方改正",
        "a delivery is returned with findings: say what is wrong, so that it can be mended",
    ),
    "contribution-check-over": (
        "提交 `{delivery}` 的质检已有结论（{result}）：请让对方另行提交",
        "the check of delivery `{delivery}` is over ({result}): have another one delivered",
    ),
    "contribution-check-back": (
        "质检不能退回到未开始：请给出 pending、passed 或 returned",
        "a check does not go back to its beginning: say pending, passed or returned",
    ),
    "notice-ahead": (
        "协议 {agreement} 的回馈数据“{dataset}”将于 {due} 到期：请按期提交数据；协议允许的，也可说明无变化",
        "contribution `{dataset}` under agreement {agreement} falls due on {due}: deliver it, or where the agreement takes that, state that nothing "
        "has changed",
    ),
    "notice-due": (
        "协议 {agreement} 的回馈数据“{dataset}”已于 {due} 到期，最迟 {last_day} 提交：请提交数据；协议允许的，也可说明无变化",
        "contribution `{dataset}` under agreement {agreement} fell due on {due} and can come until {last_day}: deliver it, or where the agreement takes "
        "that, state that nothing has changed",
    ),
    "notice-late": (
        "协议 {agreement} 的回馈数据“{dataset}”应于 {last_day} 前提交，现已逾期：请尽快提交数据；协议允许的，也可说明无变化",
        "contribution `{dataset}` under agreement {agreement} was to come by {last_day} and is late: deliver it, or where the agreement takes that, "
        "state that nothing has changed",
    ),
    "notice-returned": (
        "协议 {agreement} 的回馈数据“{dataset}”（{due} 到期）质检退回：{findings}。请改正后再提交",
        "contribution `{dataset}` under agreement {agreement}, due {due}, was returned by the quality check: {findings}. Mend it and deliver it again",
    ),
    "notice-escalated": (
        "协议 {agreement} 的回馈数据“{dataset}”应于 {last_day} 前提交，逾期已满 {days} 天：提请协调小组研究。共享服务不因此自动中止",
        "contribution `{dataset}` under agreement {agreement} was to come by {last_day} and is {days} days late: for the coordination group. "
        "Nothing that is shared ends by itself",
    ),
    "notice-proposal": (
        "协议 {agreement} 的回馈数据“{dataset}”应于 {last_day} 前提交，逾期已满 {days} 天：按协议约定，提请协调小组决定是否调减用量额度。"
        "未经决定，额度不变；应急图层不受影响",
        "contribution `{dataset}` under agreement {agreement} was to come by {last_day} and is {days} days late: as agreed, the coordination group is "
        "asked whether to reduce the quota. Until it decides the quota stays; emergency layers are never concerned",
    ),
    # people and the API
    "too-many-guesses": (
        "尝试次数过多：请在 {seconds} 秒后再试",
        "too many attempts: try again in {seconds} seconds",
    ),
    "sign-in-refused": (
        "登录名或密码不正确，或账户已停用：请核对，或联系管理员",
        "login or password is wrong, or the account is closed: check them, or ask an administrator",
    ),
    "not-signed-in": (
        "需要登录：请以登录名和密码登录，或在请求头中给出个人令牌 `Authorization: Bearer gsu_...`",
        "sign in first: with login and password, or with a token of yours in the header `Authorization: Bearer gsu_...`",
    ),
    "role-missing": (
        "此操作须由 {roles} 执行：请联系相应人员",
        "this is for {roles}: ask one of them",
    ),
    "own-session-only": (
        "此操作须登录后执行，不能使用令牌",
        "this takes a session, not a token: sign in with your password",
    ),
    "password-must-change": (
        "密码由他人设定：请先修改密码",
        "somebody else set your password: change it first",
    ),
    "form-forged": (
        "请求不是由本平台页面发出，或页面已过期：请重新打开页面，并从 {address} 访问",
        "the request did not come from a page of this service, or the page is too old: open it again, at {address}",
    ),
    "body-media-type": (
        "请求体的类型须为 {choices}：请在请求头 `Content-Type` 中写明",
        "the body must be {choices}: say so in the header `Content-Type`",
    ),
    "nothing-there": (
        "`{id}` 不存在，或不归你查看",
        "there is no `{id}`, or it is not yours to see",
    ),
    "input-faulty": ("内容有 {count} 处错误：见 errors", "{count} faults in what was sent: see `errors`"),
    "in-conflict": ("不能办理：{reason}", "this can't be done: {reason}"),
    "edition-changed": (
        "版本 {edition} 在此期间有变动：请重新查看后再办理",
        "edition {edition} has changed meanwhile: look at it again first",
    ),
    "edition-busy": (
        "版本 {edition} 正在入库：请等作业结束后再办理",
        "files are being added to edition {edition}: wait until the job is over",
    ),
    "changed-meanwhile": (
        "对象已被他人修改：请重新读取后再修改，并在 `If-Match` 中给出其 ETag",
        "somebody has changed it meanwhile: read it again, and send its ETag in `If-Match`",
    ),
    "field-missing": ("缺少此字段：请补上", "is missing: give it"),
    "field-unknown": ("没有此字段：请去掉", "there is no such field: leave it out"),
    "field-repeated": ("给出了多次：请只给一次", "is given several times: give it once"),
    "field-not-text": ("须为文字", "must be text"),
    "field-not-number": ("须为数", "must be a number"),
    "field-not-whole": ("须为整数", "must be a whole number"),
    "field-not-flag": ("须为 true 或 false", "must be true or false"),
    "field-not-list": ("须为列表", "must be a list"),
    "field-not-fields": ("须为若干字段组成的对象", "must be an object with fields"),
    "field-short": ("太短：至少 {least}", "is too short: at least {least}"),
    "field-long": ("太长：最多 {most}", "is too long: at most {most}"),
    "field-small": ("太小：不小于 {least}", "is too small: at least {least}"),
    "field-large": ("太大：不大于 {most}", "is too large: at most {most}"),
    "field-spelling": ("写法不对：须符合 {pattern}", "is not spelt as it must be: {pattern}"),
    "field-choice": ("须为 {choices} 之一", "must be one of {choices}"),
    "field-not-moment": (
        "须为带时区的时刻，如 2026-12-31T00:00:00+08:00",
        "must be a moment with its zone, such as 2026-12-31T00:00:00+08:00",
    ),
    "field-not-day": ("须为日期，如 2026-12-31", "must be a day, such as 2026-12-31"),
    "field-not-json": ("不是 JSON：{reason}", "is not JSON: {reason}"),
    "field-not-utf8": (
        "第 {position} 个字节不是 UTF-8 文字：请以 UTF-8 保存",
        "byte {position} is not UTF-8 text: save it as UTF-8",
    ),
    "field-wrong": ("不可用：{reason}", "can't be taken: {reason}"),
    "field-not-origin": (
        "须为网页来源，如 https://maps.example.gov，不带路径",
        "must be the origin of a page, such as https://maps.example.gov, without a path",
    ),
    "field-not-network": ("须为地址块，如 10.0.0.0/8", "must be a block of addresses, such as 10.0.0.0/8"),
    "field-not-bounds": (
        "须为以度表示的 西,南,东,北，且西小于东、南小于北",
        "must be west,south,east,north in degrees, west before east and south before north",
    ),
    "field-days": ("起止日期须先后有序，且不超过 {most} 天", "the first day comes before the last, and they are at most {most} days apart"),
    "field-past": ("已经过去：请给出以后的时刻", "is over already: give a later moment"),
    "layer-unknown": ("图层 `{layer}` 不在目录中：请核对", "layer `{layer}` is not in the catalogue: check its name"),
    "login-spelling": (
        "`{login}` 不能作登录名：以小写字母开头，2 至 63 个小写字母、数字、`.`、`-` 或 `_`",
        "`{login}` can't be a login: 2 to 63 lower-case letters, digits, `.`, `-` and `_`, beginning with a letter",
    ),
    "login-taken": ("登录名 `{login}` 已被使用：请另取一个", "the login `{login}` is taken: choose another"),
    "roles-none": ("至少须有一个角色", "at least one role is needed"),
    "roles-mixed": (
        "角色与单位 `{agency}` 不符：测绘主管部门的人员用 administrator、approver、auditor、data_manager，其他单位的人员只用 member",
        "these roles don't go with `{agency}`: people of the bureau are administrator, approver, auditor or data_manager, those of another agency member alone",
    ),
    "agency-spelling": (
        "`{agency}` 不能作单位代号：以小写字母开头，由小写字母、数字、`-` 和 `_` 组成",
        "`{agency}` can't be the id of an agency: lower-case letters, digits, `-` and `_`, beginning with a letter",
    ),
    "agency-unknown": ("单位 `{agency}` 未登记：请先登记", "agency `{agency}` is not registered: register it first"),
    "password-length": (
        "密码须有 {least} 至 {most} 个字符：建议用几个互不相关的词组成",
        "a password has {least} to {most} characters: several words that have nothing to do with each other are good",
    ),
    "password-login": ("密码不能由登录名凑成：去掉登录名后仍须足够长", "a password must be long enough without the login in it"),
    "password-monotonous": ("密码中不同的字符太少：请换一个", "the password has too few different characters: choose another"),
    "last-administrator": (
        "`{login}` 是最后一位管理员：请先指定另一位",
        "`{login}` is the last administrator: name another one first",
    ),
    "person-not-defined": ("没有登录名为 `{login}` 的人员：见 `geoshare person list`", "there is no person `{login}`: see `geoshare person list`"),
    "token-not-defined": ("没有令牌 `{token}`", "there is no token `{token}`"),
    "token-expiry": ("令牌须有期限，最长 {days} 天", "a token ends some time, at most {days} days from now"),
    "token-roles": ("令牌的角色只能取自本人的角色：{roles}", "a token has roles of its person: {roles}"),
    "task-contribution-due": (
        "提交协议 `{agreement}` 的回馈数据“{dataset}”（{due} 到期），或说明无变化",
        "deliver contribution `{dataset}` under agreement `{agreement}`, due {due}, or state that nothing has changed",
    ),
    "task-contribution-check": (
        "质检协议 `{agreement}` 的回馈数据“{dataset}”（{due} 到期）",
        "check contribution `{dataset}` under agreement `{agreement}`, due {due}",
    ),
    "task-request": (
        "答复单位 `{agency}` 的申请 #{request}：{layers}",
        "answer request #{request} of `{agency}`: {layers}",
    ),
    "request-answered": ("申请 `{request}` 已有答复", "request `{request}` is answered already"),
    "request-not-defined": ("没有申请 `{request}`", "there is no request `{request}`"),
    "division-unknown": ("没有代码为 `{division}` 的行政区划：请核对", "there is no division `{division}`: check its code"),
    "task-contribution-quota": (
        "协议 `{agreement}` 的回馈数据“{dataset}”（{due} 到期）逾期：提请协调小组决定是否调减用量额度",
        "contribution `{dataset}` under agreement `{agreement}`, due {due}, is late: have the coordination group decide whether to reduce the quota",
    ),
    "review-period-none": ("从 {first} 到 {last} 不成一段：起始日须不晚于终止日", "from {first} to {last} is no period: the first day comes first"),
    "review-period-long": ("统计期间超过 {days} 天：请缩短", "the period is longer than {days} days: ask for a shorter one"),
    "review-year-ahead": ("{year} 年尚未开始：请选择已开始的年份", "the year {year} has not begun: choose one that has"),
    "review-never-in-force": ("协议 `{agreement}` 从未生效，没有可评审的内容", "agreement `{agreement}` was never in force: there is nothing to review"),
    "mail-subject": ("共建共享协议：{count} 条回馈数据通知", "sharing agreements: {count} notices on contributions"),
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
    # elevation
    "datum-not-known": ("未知的高程基准 `{value}`：应为 {choices} 之一", "vertical datum `{value}` is not known: it must be one of {choices}"),
    "datum-not-stated": (
        "图层 `{layer}` 的高程基准未知，其高程不能与其他高程比较：请其所有单位说明高程基准",
        "the vertical datum of layer `{layer}` is not known, so its heights can't be compared with others: ask its owner to state it",
    ),
    "datum-ellipsoidal": (
        "大地高（椭球高）不是海拔，本服务不能换算：请给出水准高程",
        "heights above the ellipsoid are not heights above the sea and can't be converted here: give a levelled height",
    ),
    "datum-of-gauges": (
        "`{value}` 是水位站使用的基准，其常数只适用于水位站水位：地表高程不与它互相换算",
        "`{value}` is a datum of gauges, and its constant holds for their water levels alone: heights of a surface are not converted to it or from it",
    ),
    "datum-no-way": (
        "没有经批准的常数可由 `{source}` 换算到 `{target}`：请使用 `{source}` 高程",
        "no approved constant leads from `{source}` to `{target}`: ask for heights in `{source}`",
    ),
    "datum-elsewhere": (
        "`{value}` 的常数只适用于东经 {west} 至 {east}、北纬 {south} 至 {north}：此处在其范围之外",
        "the constant of `{value}` holds from {west} to {east} E and from {south} to {north} N: this place lies outside",
    ),
    "not-elevation": (
        "图层 `{layer}` 不是高程模型，没有高程：请选用高程图层",
        "layer `{layer}` is no elevation model and has no heights: ask for one of elevation",
    ),
    **FEATURE_SENTENCES,
    **OVERLAY_SENTENCES,
    **GIVING_SENTENCES,
    **CORRECTION_SENTENCES,
    **LIVE_SENTENCES,
    **GAUGE_SENTENCES,
    **ROUTE_SENTENCES,
})
"""Chinese, English."""

STYLE_TITLES = MappingProxyType({
    "default": ("默认样式", "Default"),
    "hillshade": ("晕渲", "Hillshade"),
    "multidirectional-hillshade": ("多方向晕渲", "Hillshade lit from several sides"),
    "aspect": ("坡向", "Aspect"),
    "contours": ("等高线", "Contours"),
    "water-level": ("水位淹没范围", "Ground below a water level"),
    "terrain-rgb": ("地形数值瓦片（Terrain-RGB）", "Heights as Terrain-RGB tiles"),
    "terrarium": ("地形数值瓦片（Terrarium）", "Heights as Terrarium tiles"),
    "relief": ("分层设色", "Colour relief"),
    "shaded-relief": ("晕渲分层设色", "Hillshade over colour relief"),
    "slope": ("坡度", "Slope"),
    "topographic": ("地形图", "Topographic"),
    "unlabelled": ("无注记", "Without labels"),
    "grey": ("灰色底图", "Grey base map"),
    "grey-unlabelled": ("灰色底图（无注记）", "Grey base map without labels"),
})
"""Chinese, English."""


def style_title(style: str, language: str) -> str:
    return STYLE_TITLES.get(style, (style, style))[LANGUAGES.index(language)]
