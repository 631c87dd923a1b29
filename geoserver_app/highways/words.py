"""Sentences about routes and stakes, Chinese and English. Data alone: `geoserver_app.messages` holds them with all others."""

from types import MappingProxyType

ROUTE_SENTENCES = MappingProxyType({
    "route-none": ("`{layer}` 中没有可供您查询的路线 `{route}`", "`{layer}` holds no route `{route}` that you may ask of"),
    "route-tables": (
        "图层 `{layer}` 不是路线图层：须有表 ROUTE（线，字段 ROUTE）和 STAKE（点，字段 ROUTE、STAKE）；事件须有表 EVENT（字段 ROUTE、FROM_STAKE、TO_STAKE）",
        "layer `{layer}` holds no routes: it needs tables ROUTE (lines, field ROUTE) and STAKE (points, fields ROUTE and STAKE), and for events one EVENT"
        " (fields ROUTE, FROM_STAKE, TO_STAKE)",
    ),
    "route-name": ("请给出路线编号：`route` 为 1 至 {most} 个字符，如 G104", "say which route: `route` is 1 to {most} characters, such as G104"),
    "stake-spelling": ("`{value}` 不是桩号：请写作 K123+456 或 K123+456.7", "`{value}` is no stake: write K123+456 or K123+456.7"),
    "stake-none": (
        "路线 `{route}` 上没有桩号 {stake}：它在断链处被跳过，附近没有可用的里程桩，或在您可见的范围之外",
        "route `{route}` has no stake {stake}: a broken chain skips it, no posts near it can be used, or it lies outside what you may see",
    ),
    "stake-twice": (
        "路线 `{route}` 上有 {count} 处 {stake}（长链）：请写明第几处，如 {stake}/1", "route `{route}` has {count} places {stake} (a long chain): say which, such as {stake}/1",
    ),
    "stakes-order": ("`from` 须在 `to` 之前", "`from` must come before `to`"),
    "route-far": ("{metres} 米内没有路线", "no route lies within {metres} m"),
})
