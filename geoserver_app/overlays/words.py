"""Sentences about overlays, Chinese and English. Data alone: `geoserver_app.messages` holds them with all others."""

from types import MappingProxyType

OVERLAY_SENTENCES = MappingProxyType({
    # names and parties
    "overlay-name": (
        "`{name}` 不能作为专题图层名：请用 1 至 {most} 个小写字母、数字、`-` 或 `_`，以字母开头",
        "`{name}` can't be the name of an overlay: use 1 to {most} lower-case letters, digits, `-` and `_`, a letter first",
    ),
    "overlay-name-reserved": ("`{name}` 与另一单位的名称空间重合：请换一个名称", "`{name}` falls into the names of another agency: take another one"),
    "overlay-edition-there": (
        "专题图层 `{edition}` 已有这个版本：请另取版本名，或先撤下它", "overlay `{edition}` is there already: name another edition, or withdraw this one first",
    ),
    "overlay-classification": (
        "本系统最高只存 `{ceiling}` 级数据：请改密级，或在相应系统中登记", "this instance holds nothing above `{ceiling}`: give another classification, or take it to one that may hold it",
    ),
    # files
    "overlay-many-open": ("已有 {most} 次登记尚未完成：请等待，或取消其中一些", "{most} registrations are not over yet: wait, or call some off"),
    "overlay-view": ("预览范围或坐标系不可用", "the view, or its reference system, can't be drawn"),
    "overlay-no-file": ("还没有上传文件：请先上传", "no file was uploaded yet: send it first"),
    "overlay-too-large": ("文件超过上限 {most} MB：请分批上传，或删去不用的属性", "the file has more than the {most} MB that are taken: send it in parts, or leave out attributes"),
    "overlay-cut-short": ("上传中断，只收到 {got} 字节（应为 {wanted}）：请重新上传", "the upload broke off after {got} of {wanted} bytes: send it again"),
    "overlay-not-waiting": ("这次登记不在等待文件：请新建一次登记", "this registration does not wait for a file: begin a new one"),
    "overlay-over": ("这次登记已经结束，不能再更改", "this registration is over and can't be changed"),
    "overlay-suffix": (
        "不能识别的文件类型 `{suffix}`：请上传 {choices}", "files of the kind `{suffix}` are not taken: send one of {choices}",
    ),
    "overlay-zip-holds": (
        "压缩包内没有可用的数据：请放入一个 Shapefile（.shp .shx .dbf .prj）或一个 .gdb 文件夹",
        "the archive holds nothing that is taken: put one Shapefile (.shp .shx .dbf .prj) or one .gdb folder into it",
    ),
    "overlay-rejected": ("文件 `{name}`：{fault}。{mend}", "`{name}`: {fault}: {mend}"),
    "overlay-too-slow": ("文件在 {seconds} 秒内没有读完：请简化图形或分批上传", "the file was not read within {seconds} s: simplify its shapes, or send it in parts"),
    "overlay-too-big-in-memory": ("读取文件所需内存超过上限 {megabytes} MB：请分批上传", "reading the file takes more than the {megabytes} MB of memory that it may: send it in parts"),
    "overlay-unreadable": ("文件无法读取：它可能已损坏，请检查后重新上传", "the file can't be read: it may be damaged; check it and send it again"),
    "overlay-too-many": ("共有 {count} 个要素，上限为 {most}：请分批上传", "it holds {count} features, more than the {most} that an overlay may: send it in parts"),
    "overlay-too-many-fields": ("表 `{table}` 有 {count} 个属性，上限为 {most}", "table `{table}` has {count} attributes, more than {most}"),
    "overlay-note": ("说明：{note}", "note: {note}"),
    "overlay-cancelled": ("已取消", "called off"),
    "overlay-worker-gone": ("处理程序中断多次：请重新上传，或联系管理员", "the work on it broke off several times: send it again, or tell the administrator"),
    "overlay-failed": ("处理失败，未发布任何内容：请联系管理员", "it could not be taken in, and nothing was published: tell the administrator"),
    "overlay-busy": ("此图层正在更新：请稍后再试", "the layer is being changed at this moment: try again shortly"),
    # tables
    "table-empty": ("表中没有数据行", "the table holds no row"),
    "table-encoding": ("表的文字既不是 UTF-8 也不是 GB18030：请另存为 UTF-8", "the text of the table is neither UTF-8 nor GB18030: save it as UTF-8"),
    "table-header": ("第一行应为列名，且不能重复：第 {column} 列为 `{name}`", "the first row must name the columns, each once: column {column} is `{name}`"),
    "table-rows": ("表有 {count} 行，上限为 {most}", "the table has {count} rows, more than {most}"),
    "table-columns": ("表有 {count} 列，上限为 {most}", "the table has {count} columns, more than {most}"),
    "table-ragged": ("第 {row} 行有 {count} 列，列名有 {wanted} 个：请检查分隔符和引号", "row {row} has {count} columns, the heading {wanted}: check delimiters and quotes"),
    "table-kind": (
        "表中既没有坐标列（经度/纬度、lon/lat、x/y），也没有行政区划代码列（行政区划代码、code、adcode）：请改列名，或在登记时指定列",
        "the table has neither columns of coordinates (lon/lat, x/y, or their Chinese names) nor of division codes (code, adcode): rename them, or say which they are",
    ),
    "table-no-column": ("表中没有列 `{column}`，只有 {choices}", "the table has no column `{column}`, only {choices}"),
    "table-crs": (
        "坐标列 `{x}`、`{y}` 没有说明坐标系：请在登记时申报，例如 EPSG:4490 或 EPSG:4549",
        "columns `{x}` and `{y}` do not say in which reference system they are: declare it, for instance EPSG:4490 or EPSG:4549",
    ),
    "table-coordinate": ("第 {row} 行的 `{column}` 不是数：`{value}`", "row {row}: `{column}` is no number: `{value}`"),
    "table-axes": (
        "第 {row} 行的坐标（{x}，{y}）不在 {crs} 的范围内：经度与纬度可能颠倒，或坐标系申报有误",
        "row {row}: ({x}, {y}) lies outside {crs}: east and north may be exchanged, or another reference system is meant",
    ),
    "table-code": ("第 {row} 行的行政区划代码 `{value}` 不是 6、9 或 12 位数字", "row {row}: `{value}` is no division code of 6, 9 or 12 digits"),
    "table-code-twice": ("第 {row} 行的行政区划代码 `{value}` 出现两次：每个区划只能有一行", "row {row}: division code `{value}` occurs twice: give one row a division"),
    "table-codes-unknown": (
        "没有一个代码与 {vintage} 版行政区划界线相符：请核对代码，或选用另一版界线", "none of the codes is a division of the boundaries of {vintage}: check them, or choose another vintage",
    ),
    "table-some-codes-unknown": ("{count} 个代码在 {vintage} 版界线中没有，已略去：{codes}", "{count} codes are no divisions of {vintage} and were left out: {codes}"),
    "table-vintage": ("没有 {vintage} 版行政区划界线，现有 {choices}", "there are no boundaries of {vintage}, only of {choices}"),
    "table-value": ("列 `{column}` 没有可分级的数值", "column `{column}` holds no numbers to class"),
    "table-joined": (
        "按 {vintage} 版行政区划界线（概括到约 {metres} 米）连接了 {count} 行", "{count} rows were joined to the boundaries of {vintage}, generalised to some {metres} m",
    ),
    "table-points": ("由 `{x}`、`{y}` 列建立了 {count} 个点（{crs}）", "{count} points were made of columns `{x}` and `{y}` ({crs})"),
    # rules of drawing
    "symbols-too-long": ("样式规则超过 {most} 个字符", "the rules have more than {most} characters"),
    "symbols-not-json": ("样式规则不是 JSON", "the rules are not JSON"),
    "symbols-invalid": ("样式规则不符：{problem}", "not a rule that can be drawn by: {problem}"),
    "symbols-quotes": ("分类值不能同时含有两种引号", "the value of a class can't hold both kinds of quotes"),
    "symbols-range-open": ("分级至少要有一端", "a range needs one end at least"),
    "symbols-range-empty": ("分级的下限必须小于上限", "a range must begin below its end"),
    "symbols-no-table": ("没有这张表：现有 {choices}", "there is no such table, only {choices}"),
    "symbols-no-field": ("没有属性 `{field}`：现有 {choices}", "there is no attribute `{field}`, only {choices}"),
    "symbols-field-name": ("属性 `{field}` 的名称含有方括号或花括号，不能用于样式", "attribute `{field}` can't be drawn by: its name holds brackets"),
    # GCJ-02
    "shift-suspected": (
        "坐标疑似为 GCJ-02（互联网地图加偏坐标）：与 {reference} 相比，偏移 {metres} 米，方位角 {azimuth}°（{matches} 处吻合）。已隔离，未发布；请改用原始坐标重新上传，或由负责人说明理由后决定",
        "the coordinates seem to be GCJ-02, as internet maps shift them: {metres} m off {reference} at azimuth {azimuth} degrees, where {matches} places agree. Held back, not "
        "published: send unshifted coordinates, or let somebody decide, with his reasons",
    ),
    "shift-declared": (
        "坐标申报来自互联网地图（GCJ-02）：本系统不转换加偏坐标。已隔离，未发布；与已知图形的偏移：{metres}。请改用原始坐标重新上传，或由负责人说明理由后决定",
        "the coordinates are declared to be from an internet map (GCJ-02), which is never converted here. Held back, not published; measured offset: {metres}. Send "
        "unshifted coordinates, or let somebody decide, with his reasons",
    ),
    "shift-none": ("与 {reference} 相比偏移 {metres} 米，未见加偏", "{metres} m off {reference}: no shift is seen"),
    "shift-unknown": ("附近没有可比对的图形，未能检查是否加偏", "nothing known lies near enough to tell whether the coordinates are shifted"),
    "shift-not-held": ("这次登记没有被隔离，无需决定", "this registration is not held back: there is nothing to decide"),
    # remote services
    "remote-host": ("主机 `{host}` 不在管理员准许的名单中：请向管理员申请", "host `{host}` is not on the administrator's list: ask for it to be put there"),
    "remote-url": ("地址不可用：请给出 https:// 或 http:// 地址，不含用户名、密码和片段", "not an address that can be asked: give http:// or https:// without user, password and fragment"),
    "remote-url-secret": ("地址中含有密钥样参数 `{name}`：请改在“凭据”中填写", "the address holds a parameter that looks like a secret, `{name}`: give it as the credential instead"),
    "remote-header": ("凭据不可用：请给出可打印的 ASCII 文字，且不得占用协议自身的请求头", "not a credential that can be sent: give printable ASCII, in no header of the protocol itself"),
    "remote-address": ("主机 `{host}` 解析到不准访问的网络地址", "host `{host}` stands for an address that may not be asked"),
    "remote-failed": ("远程服务没有正常应答（{reason}）", "the remote service did not answer as it should ({reason})"),
    "remote-large": ("远程服务的应答超过上限 {most} MB", "the remote service answers with more than {most} MB"),
    "remote-no-capabilities": ("远程服务的能力文档无法读取：请核对地址", "the description of the remote service can't be read: check the address"),
    "remote-no-layer": ("远程服务没有图层 `{name}`，现有 {choices}", "the remote service has no layer `{name}`, only {choices}"),
    "remote-no-crs": ("远程服务不支持本系统的任何坐标系", "the remote service knows none of the reference systems that are served here"),
    "remote-no-json": ("远程 WFS 不输出 GeoJSON，无法接入", "the remote WFS offers no GeoJSON, so that it can't be taken in"),
    "remote-not-refreshable": ("只有由远程 WFS 取得的图层才能刷新", "only an overlay that came from a remote WFS can be refreshed"),
    # saved maps
    "map-many": ("已保存 {most} 幅地图：请删除不用的", "{most} maps are saved already: delete those that are not used"),
    "map-person": ("只有登录的人员才能保存仅自己可用的地图", "only a person who is signed in can save a map for himself alone"),
    "map-layer": ("图层 `{layer}` 不是本单位可以看到的图层", "`{layer}` is no layer that your agency may see"),
})
