"""What corrections are called and the sentences about them, Chinese and English. Data alone: `geoserver_app.messages` holds them with all others."""

from types import MappingProxyType

STATES = MappingProxyType({
    "reported": ("待受理", "reported"), "taken": ("办理中", "taken up"), "answered": ("已答复", "answered"), "mended": ("已改正", "mended"),
    "refused": ("不予采纳", "not followed"), "reopened": ("重新提出", "reopened"), "closed": ("已办结", "closed"), "withdrawn": ("已撤回", "withdrawn"),
})

KINDS = MappingProxyType({
    "missing": ("遗漏要素", "something is missing"), "gone": ("要素已不存在", "it is no longer there"), "position": ("位置或形状有误", "it lies or is shaped otherwise"),
    "attribute": ("属性有误", "an attribute is wrong"), "name": ("地名有误", "a name is wrong"), "height": ("高程有误", "a height is wrong"),
    "picture": ("影像或表示有误", "the imagery or the drawing is wrong"), "other": ("其他", "something else"),
})

CORRECTION_SENTENCES = MappingProxyType({
    "correction-shape": (
        "位置无法识别：请给出 GeoJSON 的点、线或面（先 x 后 y，坐标系为 {crs}），最多 {vertices} 个顶点，线面不自交，范围宽高均不超过 {most} 度",
        "the place can't be read: give a point, a line or an area as GeoJSON (x before y, in {crs}) of at most {vertices} vertices, that does not cross itself, no side above {most} degrees",
    ),
    "correction-unmarked": ("没有标出位置：请在图上标注，或按“经度, 纬度”输入，如 118.75, 32.05", "no place is marked: mark it on the map, or type it as longitude, latitude: 118.75, 32.05"),
    "correction-not-bureau": (
        "图层 `{layer}` 不由测绘主管部门维护：请直接向提供单位反映", "layer `{layer}` is not kept by the bureau: tell the agency that shares it",
    ),
    "correction-text": ("请说明哪里有误", "say what is wrong"),
    "correction-edition-untold": ("已在后续版本中改正", "it is mended in a later edition"),
    "correction-silent": ("答复后 {days} 个工作日内没有异议", "nothing was said against the answer for {days} working days"),
    "letter-correction-taken": ("纠错单 {ticket}（图层 {layer}）已受理，最迟 {due} 答复", "correction {ticket} of layer {layer} is taken up, and answered by {due}"),
    "letter-correction-answered": ("纠错单 {ticket}（图层 {layer}）已答复：{text}", "correction {ticket} of layer {layer} is answered: {text}"),
    "letter-correction-mended": ("纠错单 {ticket}（图层 {layer}）已改正：{text}", "correction {ticket} of layer {layer} is mended: {text}"),
    "letter-correction-refused": ("纠错单 {ticket}（图层 {layer}）不予采纳，理由：{text}", "correction {ticket} of layer {layer} is not followed, because: {text}"),
    "letter-correction-closed": ("纠错单 {ticket}（图层 {layer}）已办结：{text}", "correction {ticket} of layer {layer} is closed: {text}"),
    "letter-correction-late": ("纠错单 {ticket}（图层 {layer}，{agency} 提出）应于 {due} 前答复，现已逾期", "correction {ticket} of layer {layer}, reported by {agency}, was to be answered by {due} and is late"),
    "task-correction-take": ("纠错单 {ticket}：{agency} 标注的图层 {layer}，待受理", "correction {ticket}: layer {layer} as {agency} marked it is to be taken up"),
    "task-correction-answer": ("纠错单 {ticket}：{agency} 标注的图层 {layer}，待答复", "correction {ticket}: layer {layer} as {agency} marked it is to be answered"),
    "task-correction-confirm": ("纠错单 {ticket}（图层 {layer}）已有结果：请确认办结，或重新提出", "correction {ticket} of layer {layer} has its outcome: close it, or open it again"),
})
