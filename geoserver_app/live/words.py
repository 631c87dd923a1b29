"""Sentences about live tables and what is asked of them, Chinese and English. Data alone: `geoserver_app.messages` holds them with all others."""

from types import MappingProxyType

LIVE_SENTENCES = MappingProxyType({
    # making one
    "live-name": (
        "动态图层名须以本单位代码开头（`{prefix}`），再用小写字母、数字、`-` 或 `_`", "the name of a live layer begins with that of its agency, `{prefix}`, and goes on in lower-case letters, digits, `-` or `_`",
    ),
    "live-there": ("图层 `{layer}` 已存在：请另取名称，或先删除它", "layer `{layer}` is there already: take another name, or delete that one first"),
    "live-field-name": (
        "`{name}` 不能作为属性名：请用字母或汉字开头，只含字母、数字、汉字和 `_`，且不是系统保留的名称", "`{name}` can't be the name of a field: letters, digits and `_`, a letter first, and none of the names that the table has itself",
    ),
    "live-field-twice": ("属性 `{name}` 出现两次", "field `{name}` is there twice"),
    "live-bounds": ("范围须为 左、下、右、上，且在 {crs} 可表示的范围内", "bounds are left, bottom, right, top, and lie within what {crs} can express"),
    "live-symbols": ("样式规则不可用：{reason}", "the rules of drawing can't be used: {reason}"),
    # writing
    "live-object-id": ("`id` 须为 1 至 {most} 个字符的文字", "`id` must be text of 1 to {most} characters"),
    "live-moment": ("`moment` 须为带时区的时刻，如 2026-05-01T08:00:00+08:00", "`moment` must be a moment with its offset, such as 2026-05-01T08:00:00+08:00"),
    "live-moment-ahead": ("`moment` 比现在晚 {seconds} 秒以上：请校准设备时钟", "`moment` lies more than {seconds} s ahead: set the clock of the device"),
    "live-place": ("须给出 `lon` 和 `lat`（度），或 `x` 和 `y`（以 `crs` 为准），都是数", "give `lon` and `lat` in degrees, or `x` and `y` in `crs`, all numbers"),
    "live-place-missing": ("尚无此对象的位置：请给出 `lon` 和 `lat`", "there is no such object yet, so it needs a place: give `lon` and `lat`"),
    "live-place-outside": ("位置不在此图层的范围内", "the place lies outside the bounds of the layer"),
    "live-field-unknown": ("图层没有属性 `{name}`：有 {choices}", "the layer has no field `{name}`, only {choices}"),
    "live-value": ("`{name}` 的值须为 {kind}，文字不超过 {most} 个字符", "the value of `{name}` must be of type {kind}, text of at most {most} characters"),
    "live-row": ("须为对象：`id`、位置、`moment`、`properties`", "must be an object with `id`, a place, `moment` and `properties`"),
    "live-too-many": ("一批最多 {most} 行", "a batch holds {most} rows at most"),
    # watching
    "live-not-live": ("图层 `{layer}` 不是动态图层，没有更新可推送", "layer `{layer}` is no live layer: there are no updates of it to follow"),
    "live-not-vectors": ("图层 `{layer}` 没有要素", "layer `{layer}` holds no features"),
    "live-full": ("实时连接已满：请稍后再试", "all places for viewers are taken: try again shortly"),
    "live-box": ("`bbox` 须为 `西,南,东,北`（度）", "`bbox` must be `west,south,east,north` in degrees"),
    "live-every": ("`every` 须为 {least} 至 {most} 秒", "`every` must be {least} to {most} seconds"),
})
