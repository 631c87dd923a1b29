"""Words of what is found in vectors, Chinese and English side by side: findings of tables by code, and the sentences of refused files by their shape."""

from collections.abc import Mapping

TABLE_FINDINGS = {
    "empty": ("没有几何的要素：{count} 个，不入库", "features without geometry: {count}; they are left out"),
    "no-numbers": ("坐标不是数的要素：{count} 个，不入库", "features whose coordinates are no numbers: {count}; they are left out"),
    "invalid": ("几何无效的要素：{count} 个", "features with invalid geometry: {count}"),
    "repaired": ("其中已修复：{count} 个，请核对", "of these, repaired: {count}; look at them"),
    "lost": ("修复后没有长度或面积：{count} 个，不入库", "of these, without length or area once repaired: {count}; they are left out"),
    "duplicate": ("几何与属性均重复的要素：{count} 个（多余的）", "features that repeat an earlier one, geometry and attributes alike: {count}"),
    "outside-frame": ("超出图幅 {sheet} 的要素：{count} 个，最远 {metres} 米", "features that reach beyond sheet {sheet}: {count}, by {metres} m at most"),
    "undecodable": ("字段 {field} 中已无法还原的乱码：{count} 个，如“{sample}”", "texts of field {field} that were destroyed by a wrong encoding: {count}, such as `{sample}`"),
    "garbled": ("字段 {field} 中疑似按错误编码读出的文字：{count} 个，如“{sample}”", "texts of field {field} that look as if read in a wrong encoding: {count}, such as `{sample}`"),
    "code-missing": ("字段 {field} 没有分类代码：{count} 个", "features without a code in field {field}: {count}"),
    "code-unknown": ("字段 {field} 中不在 config/gb_codes.csv 的代码：{count} 个（{codes}）", "codes of field {field} that config/gb_codes.csv does not have: {count} ({codes})"),
    "code-elsewhere": ("代码属于别的要素类，不属于 {theme}：{count} 个（{codes}）", "codes of field {field} that belong to another class than {theme}: {count} ({codes})"),
    "curves": ("含圆弧的要素：{count} 个，已按 0.5 度化为折线（误差不超过半径的十万分之一）", "features with arcs: {count}, made of straight pieces of 0.5 degrees (off by 0.001 % of the radius at most)"),
    "measures": ("顶点的 M 值未保留（X、Y、Z 保留）：{count} 个要素", "M of the vertices was left out (X, Y and Z are kept): {count} features"),
    "heights-kept": ("保留顶点高程 Z：{count} 个要素", "Z of the vertices is kept: {count} features"),
}

REASONS = {
    "Self-intersection": "自相交", "Ring Self-intersection": "环自相交", "Hole lies outside shell": "洞在外环之外", "Nested holes": "洞中有洞",
    "Nested shells": "外环套外环", "Duplicate Rings": "环重复", "Interior is disconnected": "内部不连通", "Too few points in geometry component": "点数不足",
    "Invalid Coordinate": "坐标无效", "Ring is not closed": "环未闭合", "Too many points": "点数过多", "Repeated point": "点重复",
}
"""Why a geometry is not valid, as GEOS says it."""

CAD = "请在制图软件中按要素类连同属性导出为 GeoPackage，并说明坐标系"
CONVERT = "请连同坐标系和编码转换，例如用 ogr2ogr -f GPKG"
PARTS = "请提交全部文件：.shp、.shx、.dbf、.prj，有 .cpg 的一并提交"

SHAPES = (
    (r"(\d+) features of table `(.+?)` have the same key as one of `(.+?)`", "表 {1} 有 {0} 个要素与 {2} 中的要素关键字相同"),
    (r"name a field whose values are different in all files, or leave `--key` out", "请指定在所有文件中取值都不重复的字段，或去掉 --key"),
    (r"it is a DXF drawing: .*", "它是 DXF 图形：没有坐标系，要素没有属性"), (r"it is a DWG drawing: .*", "它是 DWG 图形：格式不公开，没有坐标系和属性"),
    (r"it is a DGN drawing: .*", "它是 DGN 图形：没有坐标系，要素没有属性"), (r"it is a file of old Office or a DGN V8 drawing", "它是旧版 Office 文件或 DGN V8 图形"),
    (r"it is a KML: .*", "它是 KML：只有无类型的文字，坐标常有偏移（GCJ-02）"), (r"it is a KMZ, .*", "它是 KMZ（压缩的 KML）：只有无类型的文字，坐标常有偏移（GCJ-02）"),
    (r"it is a MapInfo (MIF|TAB): .*", "它是 MapInfo {0}：基准以参数写出，没有登记"), (r"it is a personal geodatabase \(Access\)", "它是个人地理数据库（Access）"),
    (r"it is a GML: .*", "它是 GML：其模式在别处，本系统不去取"), (r"it is an ArcInfo export \(E00\)", "它是 ArcInfo 交换文件（E00）"),
    (r"it is a GPX: .*", "它是 GPX：WGS 84 的轨迹，不是测绘成果"), (r"it is an OpenStreetMap extract: .*", "它是 OpenStreetMap 数据：类别写在标签里"),
    (r"it is a GeoParquet", "它是 GeoParquet"), (r"it is a MapGIS file: .*", "它是 MapGIS 文件：格式不公开"), (r"it is a SuperMap data source: .*", "它是 SuperMap 数据源：格式不公开"),
    (r"it is a cloud of points \(LAS\)", "它是点云（LAS）"), (r"it is a building model \(IFC\)", "它是建筑模型（IFC）"), (r"it is a table alone, without geometry", "它只是表格，没有几何"),
    (r"it is packed by gzip", "它经 gzip 压缩"), (r"it is a raster, not vectors", "它是栅格，不是矢量"), (r"it is a PDF: .*", "它是 PDF：只是图，没有要素"), (r"it is an archive", "它是压缩包"),
    (r"it is the pointer to a file, not the file", "它只是文件的指针，不是文件本身"), (r"it is a project that only points at data", "它是工程文件，只指向数据"),
    (r"it is a web page, perhaps that of a login or an error", "它是网页（可能是登录页或出错页）"),
    (r"it is a part of a shapefile whose \.shp is missing", "它是 Shapefile 的一部分，缺少 .shp"), (r"its index \(\.shx\) is missing", "缺少索引文件（.shx）"),
    (r"it is a folder, not a file", "它是文件夹，不是文件"), (r"it is a FlatGeobuf of an old version", "它是旧版 FlatGeobuf"),
    (r"it is (.+), not a GeoPackage", "它是 {0}，不是 GeoPackage"), (r"it is an ECharts map, not GeoJSON: .*", "它是 ECharts 地图，不是 GeoJSON：坐标经过编码（encodeOffsets），且有偏移（GCJ-02）"),
    (r"it is TopoJSON, not GeoJSON", "它是 TopoJSON，不是 GeoJSON"), (r"it is the JSON of an ArcGIS service, not GeoJSON", "它是 ArcGIS 服务的 JSON，不是 GeoJSON"),
    (r"it is not a GeoPackage, Shapefile, file geodatabase, FlatGeobuf or GeoJSON", "它不是 GeoPackage、Shapefile、文件地理数据库、FlatGeobuf 或 GeoJSON"),
    (r"it is a file geodatabase that was compressed \(CDF\), .*", "它是压缩过的文件地理数据库（CDF），只有 ArcGIS 能读"),
    (r"it is not a whole file geodatabase: its list of tables is missing", "文件地理数据库不完整：缺少总表"),
    (r"its table `(.+)` holds bodies in space \(multipatch\), .*", "表 {0} 存的是三维体（multipatch），地图上无法显示"),
    (r"its part `(.+)` is shorter than its head says: it is truncated", "{0} 部分比其文件头所说的短：文件被截断"),
    (r"it has (.+) shapes, but (.+) rows of attributes", "有 {0} 个图形，却有 {1} 行属性"), (r"its CRS can't be read", "坐标系读不出"),
    (r"its file `(.+)` is truncated or damaged", "其中的文件 {0} 被截断或已损坏"), (r"it can't be read: it is truncated or damaged", "读不出：文件被截断或已损坏"),
    (r"a table of it holds a kind of geometry that is not taken in, .*", "有表的几何类型不能入库，例如带 M 的混合类型"),
    (r"deliver points, lines and areas in tables of their own, without M", "请把点、线、面分表提交，不带 M"),
    (r"its attribute text is neither UTF-8 nor GB18030, and it has no \.cpg", "属性文字既不是 UTF-8 也不是 GB18030，又没有 .cpg"),
    (r"its attribute text is not in the encoding that it states", "属性文字与注明的编码不符"), (r"its attribute text is not (.+)", "属性文字不是 {0}"),
    (r"encoding `(.+)` is not known", "不认识编码 {0}"), (r"its features reach beyond what its CRS can express", "要素超出其坐标系所能表示的范围"), (r"it holds no feature with a geometry", "没有带几何的要素"),
    # How to mend it.
    (r"export each class with its attributes as GeoPackage from the drawing program, and say its CRS", CAD), (r"convert it with its CRS and encoding, .*", CONVERT),
    (r"convert it, for instance by `(.+)`", "请转换，例如用 {0}"), (r"deliver all of its parts: .*", PARTS),
    (r"deliver all of its parts as they were written together", "请提交同一次写出的全部文件"), (r"say its CRS with `--crs EPSG:n`, or correct the \.prj", "请用 --crs EPSG:n 说明坐标系，或改正 .prj"),
    (r"deliver the data that it was made of, in CGCS2000", "请提交制作它所用的数据（CGCS2000）"),
    (r"export it as file geodatabase \(\.gdb\) or GeoPackage", "请导出为文件地理数据库（.gdb）或 GeoPackage"),
    (r"register it as an overlay after converting it to GeoPackage", "请转成 GeoPackage 后登记为叠加图层"), (r"sort it into classes and deliver them as GeoPackage", "请分要素类后以 GeoPackage 提交"),
    (r"export it as Shapefile or GeoPackage from (.+)", "请在 {0} 中导出为 Shapefile 或 GeoPackage"), (r"deliver the DEM that is made of it, .*", "请提交由它制作的 DEM（--product DEM）"),
    (r"deliver the footprints of buildings as GeoPackage", "请提交建筑物基底的 GeoPackage"), (r"deliver their footprints as polygons", "请提交其基底面"),
    (r"register it as an overlay by its columns of coordinates or division codes, .*", "请按坐标列或区划代码列登记为叠加图层，或提交带这些属性的要素"),
    (r"give `--product DOM` or `--product DEM`", "请改用 --product DOM 或 --product DEM"), (r"deliver the features as GeoPackage", "请提交要素的 GeoPackage"),
    (r"write it again with version 3, .*", "请以第 3 版重写，例如用 ogr2ogr"), (r"take the boundaries from a source in CGCS2000", "请改用 CGCS2000 的境界数据"),
    (r"ask the service for `f=geojson`, .*", "请向服务要 f=geojson，或用 ogr2ogr -f GPKG 转换"), (r"uncompress it in ArcGIS, and deliver it again", "请在 ArcGIS 中解压后重新提交"),
    (r"deliver the folder with all its files", "请提交整个文件夹"), (r"see that the right file was given", "请确认文件无误"),
    (r"say which(?: it is)? with `--encoding`(?:, for instance GB18030)?", "请用 --encoding 说明编码，例如 GB18030"), (r"give one like GB18030 or UTF-8", "请写 GB18030 或 UTF-8 之类"),
    (r"correct the stray coordinates", "请改正离群的坐标"),
    # Lineages.
    (r"`(.+)`: members that are no features by GeoJSON were not read: (\d+)", "{0}：有 {1} 个成员不是 GeoJSON 要素，未读入"),
    (r"`(.+)`: features with arcs, .*: (\d+)", "{0}：{1} 个要素含圆弧，已按 0.5 度化为折线（误差不超过半径的十万分之一）"),
    (r"`(.+)`: M of its vertices was left out; .*", "{0}：顶点的 M 值未保留，X、Y、Z 保留"),
)


def table_finding_in_words(code: str, count: int, values: Mapping) -> tuple[str, str]:
    """Chinese and English of one finding of a table."""
    chinese, english = TABLE_FINDINGS[code]
    return chinese.format(count=count, **values), english.format(count=count, **values)


def reason_in_chinese(reason: str) -> str:
    """Why a geometry is not valid; the id of the feature that a duplicate repeats stays as it is."""
    return REASONS.get(reason, reason)
