"""Sentences about what is given back, Chinese and English. Data alone: `geoserver_app.messages` holds them with all others."""

from types import MappingProxyType

GIVING_SENTENCES = MappingProxyType({
    # what a check finds
    "given-not-declared": (
        "表 `{table}`：本数据集没有登记数据规范，只检查协议中写明的图形类型和连接键",
        "table `{table}`: nothing is declared of this dataset, so only the geometry and the join key of the agreement were checked",
    ),
    "given-geometry": ("表 `{table}` 的图形是 {is}，规范要求 {wanted}", "table `{table}` holds shapes of kind {is}, but {wanted} is declared"),
    "given-field-missing": ("表 `{table}` 缺少字段 `{field}`", "table `{table}` has no field `{field}`"),
    "given-fields-more": ("表 `{table}` 有 {count} 个规范以外的字段：{fields}", "table `{table}` has {count} fields beyond those declared: {fields}"),
    "given-empty": ("表 `{table}` 的必填字段 `{field}` 有 {count} 个要素为空", "`{field}` of table `{table}` is empty in {count} features and must not be"),
    "given-kind": ("表 `{table}` 的字段 `{field}` 有 {count} 个值不是 {kind} 类型，如 `{example}`", "{count} values of `{field}` in table `{table}` are no {kind}, such as `{example}`"),
    "given-long": ("表 `{table}` 的字段 `{field}` 有 {count} 个值超过 {most} 个字符", "{count} values of `{field}` in table `{table}` are longer than {most} characters"),
    "given-code-list": (
        "表 `{table}` 的字段 `{field}` 有 {count} 个值不在代码表中，如 `{value}`：应为 {codes}",
        "{count} values of `{field}` in table `{table}` are not in its list, such as `{value}`: use {codes}",
    ),
    "given-repeated": (
        "表 `{table}` 的字段 `{field}` 应唯一，但有 {count} 个要素的值重复，如 `{value}`",
        "`{field}` of table `{table}` must name each feature once, but {count} share a value, such as `{value}`",
    ),
    "given-not-in-base": (
        "表 `{table}` 的字段 `{field}` 有 {count} 个值在 {base} 中找不到，如 `{value}`",
        "{count} values of `{field}` in table `{table}` are not found in {base}, such as `{value}`",
    ),
    "given-base-absent": ("字段 `{field}`（表 `{table}`）应与 {base} 对应，但该图层现在没有：未检查", "`{field}` of table `{table}` rests on {base}, which is not here now: not checked"),
    "given-organisation": (
        "表 `{table}` 的字段 `{field}` 有 {count} 个组织机构代码不正确（GB 11714 的 9 位或 GB 32100 的 18 位，含校验位），如 `{value}`",
        "{count} codes of organisations in `{field}` of table `{table}` are wrong (9 places by GB 11714 or 18 by GB 32100, with check digits), such as `{value}`",
    ),
    "given-division-spelling": ("表 `{table}` 的字段 `{field}` 有 {count} 个值不是行政区划代码：`{code}`（应为 6、9 或 12 位数字）", "{count} values of `{field}` in table `{table}` are no division code: `{code}` (give 6, 9 or 12 digits)"),
    "given-division-unknown": (
        "表 `{table}` 的字段 `{field}`：代码表中没有行政区划 `{code}`（{count} 个要素）", "`{field}` of table `{table}`: division `{code}` is not in the table of codes ({count} features)",
    ),
    "given-division-over": (
        "表 `{table}` 的字段 `{field}`：行政区划 `{code}` {name} 已于 {ended} 撤销，{day} 应为 `{successors}`（{count} 个要素）",
        "`{field}` of table `{table}`: division `{code}` {name} ended on {ended}; at {day} it is `{successors}` ({count} features)",
    ),
    "given-division-ahead": (
        "表 `{table}` 的字段 `{field}`：行政区划 `{code}` {name} 在 {day} 尚未设立（{count} 个要素）",
        "`{field}` of table `{table}`: division `{code}` {name} was not there yet at {day} ({count} features)",
    ),
    "given-after-its-day": (
        "表 `{table}` 的字段 `{field}` 有 {count} 个日期晚于数据的现势性截止日 {day}", "{count} days in `{field}` of table `{table}` come after {day}, up to which the data are said to be true",
    ),
    "given-same-shape": ("表 `{table}` 有 {count} 个要素的图形与另一要素完全相同", "{count} features of table `{table}` have the very shape of another"),
    "given-outside": ("表 `{table}` 有 {count} 个要素完全在协议范围之外", "{count} features of table `{table}` lie wholly outside the ground of the agreement"),
    "given-partly-outside": ("表 `{table}` 有 {count} 个要素部分超出协议范围", "{count} features of table `{table}` reach beyond the ground of the agreement"),
    "given-overlap": ("表 `{table}` 有 {count} 处面重叠超过容差 {tolerance} 米，共 {area} 平方米", "areas of table `{table}` overlap by more than {tolerance} m in {count} places, {area} m2 together"),
    "given-gap": ("表 `{table}` 的面之间有 {count} 处缝隙，共 {area} 平方米（容差 {tolerance} 米）", "there are {count} slivers of nothing among the areas of table `{table}`, {area} m2 together (tolerance {tolerance} m)"),
    "given-hole": ("表 `{table}` 的面之间有 {count} 处较大空洞，共 {area} 平方米：请确认", "there are {count} wide holes among the areas of table `{table}`, {area} m2 together: see that they are meant"),
    "given-dangle": ("表 `{table}` 有 {count} 个线端点距另一条线不足 {tolerance} 米而未相接", "{count} ends of lines in table `{table}` come within {tolerance} m of another line and do not meet it"),
    "given-taken-in": ("读入时：{step}", "on the way in: {step}"),
    "given-old": (
        "数据现势性截止 {currency}，早于本期（{start} 至 {due}）：应为本期数据", "the data are true up to {currency}, before the period that is owed ({start} to {due}): send those of the period",
    ),
    "given-currency-ahead": ("数据现势性截止 {currency}，晚于收到日 {received}", "the data are said to be true up to {currency}, after they were received on {received}"),
    "given-day-old": ("表 `{table}` 中最新的日期是 {newest}，早于本期起始日 {start}", "the newest day in table `{table}` is {newest}, before the period begins on {start}"),
    "given-none": ("未发现问题", "nothing was found"),
    # handing in
    "submission-state": ("这次提交的状态是 {state}：此时不能这样办理", "the submission is {state}: this can't be done with it now"),
    "submission-no-file": ("还没有收到文件：请先上传", "no file came yet: send it first"),
    "submission-too-large": ("文件超过上限 {most} MB：请分批提交", "the file has more than the {most} MB that are taken: send it in parts"),
    "submission-cut-short": ("上传中断，只收到 {got} 字节（应为 {wanted}）：请重新上传", "the upload broke off after {got} of {wanted} bytes: send it again"),
    "submission-digest": ("收到的文件与所报的 SHA-256 不一致：请核对后重新上传", "what came is not the file of the SHA-256 that was told: check it and send it again"),
    "submission-suffix": ("不能识别的文件类型 `{suffix}`：请上传 {choices}", "files of the kind `{suffix}` are not taken: send one of {choices}"),
    "submission-layer": (
        "图层名 `{layer}` 不可用：须以本单位代号和连字符开头（如 `{example}`），由小写字母、数字、`-`、`_` 组成，最多 63 个字符",
        "`{layer}` can't be the layer: begin with your agency and a hyphen, as in `{example}`, then lower-case letters, digits, `-` and `_`, 63 at most",
    ),
    "submission-layer-taken": ("图层名 `{layer}` 已另有他用：请换一个", "`{layer}` is taken: choose another name"),
    "submission-edition": ("版本名 `{edition}` 不可用：最多 31 个字母、数字、`.`、`-`、`_`", "`{edition}` can't be an edition: up to 31 letters, digits, `.`, `-` and `_`"),
    "submission-edition-there": ("图层 `{layer}` 已有版本 `{edition}`：请另取版本名", "edition `{edition}` of layer `{layer}` is there already: name another"),
    "submission-classification": ("密级须不低于图层现有的密级，且本系统最高只存 `{ceiling}` 级", "the classification must not be below that of the layer, nor above `{ceiling}`, the highest that this instance holds"),
    "submission-currency": ("现势性的起始日不能晚于截止日，截止日不能晚于今天", "the data can't be true from a day after the one up to which they are, nor up to a day to come"),
    "submission-waiting": ("本单位已有 {count} 次提交待处理，上限为 {most}：请待其办结", "your agency has {count} submissions under way, as many as may be ({most}): wait until one is over"),
    "submission-other-dataset": ("`{submission}` 不是本协议本数据集被退回的提交", "`{submission}` is no returned submission of this dataset under this agreement"),
    "submission-same-person": ("复核与审批须由不同的人办理：请由另一人审批", "whoever reviewed it can't approve it too: another person has to"),
    "submission-errors": ("检查发现 {count} 类错误：请退回，或在意见中说明为何仍予接收", "the check found {count} kinds of errors: return it, or say in your note why it is taken all the same"),
    "submission-reasons": ("退回须写明理由", "say why it is returned"),
    "submission-unreadable": ("文件无法读取：{fault}", "the file can't be read: {fault}"),
    "submission-broke-off": ("检查程序中断多次：请联系管理员", "the check broke off several times: tell the administrator"),
    "submission-not-published": ("未能发布（{fault}）：已退回待审批状态", "it could not be published ({fault}): it waits for approval again"),
    "submission-withdrawn": ("提交单位已撤回", "withdrawn by the agency that handed it in"),
    "submission-of-delivery": (
        "交付 {delivery} 是提交 {submission} 的数据：请在该提交中复核、审批或退回", "delivery {delivery} is that of submission {submission}: review, approve or return it there",
    ),
    "submission-lineage": (
        "{agency} 按协议回馈（提交 {submission}，文件 SHA-256 {sha256}，{received} 收到），经复核与审批接收",
        "given back by {agency} (submission {submission}, file of SHA-256 {sha256}, received {received}), reviewed and approved",
    ),
    # letters
    "letter-subject": ("共建共享协议：回馈数据与纠错的办理情况", "sharing agreements: what became of data given back and of corrections"),
    "letter-returned": ("协议 {agreement}：`{dataset}` 的提交 {submission} 被退回，理由：{reasons}", "agreement {agreement}: submission {submission} of `{dataset}` is returned, because: {reasons}"),
    "letter-accepted": ("协议 {agreement}：`{dataset}` 的提交 {submission} 已接收，发布为 {layer}", "agreement {agreement}: submission {submission} of `{dataset}` is accepted and published as {layer}"),
    "letter-received": ("协议 {agreement}：收到 `{dataset}` 的提交 {submission}，正在检查", "agreement {agreement}: submission {submission} of `{dataset}` came in and is being checked"),
    "letter-correction": ("纠错单 {ticket}（图层 {layer}）：{state}。{reasons}", "correction {ticket} of layer {layer}: {state}. {reasons}"),
    # corrections
    "correction-outside": ("所标位置不在贵单位可见的范围内：请标在可见范围之内", "the place does not lie within what your agency may see: mark one that does"),
    "correction-place": ("位置无法识别：请给出经纬度点 [lon, lat] 或范围 [西, 南, 东, 北]，宽高均不超过 {most} 度", "the place can't be read: give [lon, lat] or [west, south, east, north], no side above {most} degrees"),
    "correction-feature": ("没有这样的要素，或贵单位看不到：请不填要素编号，只标位置", "there is no such feature, or your agency may not see it: leave it out and mark the place alone"),
    "correction-picture": ("附图无法读取：请附 PNG、JPEG 或 WebP 图像，不超过 {most} MB、{pixels} 百万像素", "the picture can't be read: attach PNG, JPEG or WebP of at most {most} MB and {pixels} megapixels"),
    "correction-waiting": ("本单位已有 {count} 张未办结的纠错单，上限为 {most}", "your agency has {count} corrections that are open, as many as may be ({most})"),
    "correction-move": ("纠错单的状态是“{state}”，不能改为“{to}”", "the correction is `{state}` and can't become `{to}`"),
    "correction-reasons": ("不予采纳须写明理由", "say why it is rejected"),
    "correction-fixed-in": ("`{edition}` 不是图层 `{layer}` 的版本：请写明改正后的版本", "`{edition}` is no edition of layer `{layer}`: name the one in which it is mended"),
    # tasks
    "task-given-upload": ("协议 {agreement}：`{dataset}` 的提交 {submission} 被退回，待改正后重新提交", "agreement {agreement}: submission {submission} of `{dataset}` was returned and is to be handed in again"),
    "task-given-review": ("协议 {agreement}：复核 {agency} 提交的 `{dataset}`（{submission}）", "agreement {agreement}: review `{dataset}` as {agency} handed it in ({submission})"),
    "task-given-approve": ("协议 {agreement}：审批 {agency} 提交的 `{dataset}`（{submission}）", "agreement {agreement}: approve `{dataset}` as {agency} handed it in ({submission})"),
    "task-correction": ("纠错单 {ticket}：{agency} 标注的图层 {layer}，{state}", "correction {ticket}: layer {layer} as {agency} marked it, {state}"),
})
