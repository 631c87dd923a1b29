"""Sentences about gauges and their levels, Chinese and English. Data alone: `geoserver_app.messages` holds them with all others."""

from types import MappingProxyType

GAUGE_SENTENCES = MappingProxyType({
    "gauge-none": ("`{layer}` 中没有可供您查询的测站 `{gauge}`", "`{layer}` holds no gauge `{gauge}` that you may ask of"),
    "gauge-name": ("请给出测站编码：`gauge` 为 1 至 {most} 个字符的 STCD", "say which gauge: `gauge` is its STCD, of 1 to {most} characters"),
    "gauge-tables": ("图层 `{layer}` 没有水位：须有点表，含字段 STCD、DTMNM、Z", "layer `{layer}` holds no levels: it needs a table of points with fields STCD, DTMNM and Z"),
    "gauge-no-level": ("测站 `{gauge}` 没有水位", "gauge `{gauge}` has no level"),
    "gauge-no-datum": (
        "测站 `{gauge}` 没有说明基面（DTMNM）：没有基面就不能与高程比较，也不绘制淹没范围",
        "gauge `{gauge}` states no datum (DTMNM): without one its level is compared with no heights, and no water is drawn",
    ),
    "gauge-datum-own": (
        "测站 `{gauge}` 的基面为 `{value}`，没有已知的换算常数：请主管单位补上基面修正值（DTPR，换算至 1985 国家高程基准）",
        "gauge `{gauge}` states datum `{value}`, from which no constant leads: let its owner add the correction DTPR that leads to the 1985 national datum",
    ),
    "gauge-datum-contradiction": (
        "测站 `{gauge}` 的基面 `{value}` 与修正值 DTPR {correction} 米相差过大（按基面应为 {constant} 米）：不换算，请主管单位核实",
        "gauge `{gauge}` states datum `{value}` and a correction of {correction} m, where that datum has one of {constant} m: its owner must say which holds",
    ),
    "gauge-water-not-there": (
        "测站 `{gauge}` 不在 `bbox` 内：请扩大范围，或用 connected=false 逐格比较", "gauge `{gauge}` lies outside `bbox`: widen it, or ask for cells one by one with connected=false",
    ),
    "gauge-one-elevation": ("`dem` 须为一个高程图层", "`dem` must name one layer of elevation"),
})
