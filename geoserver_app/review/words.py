"""The words of the review in Chinese and English, and how values are written in it."""

from datetime import date, datetime
from types import MappingProxyType

from geoserver_app.clock import SHANGHAI
from geoserver_app.messages import LANGUAGES
from geoserver_app.review.charts import number

NOTHING = "—"

WORDS = MappingProxyType({
    # titles and chapters
    "pack": ("共建共享协议评审材料", "Review of a sharing agreement"),
    "group-pack": ("信息协作和共享协调小组例会材料", "Papers for the coordination group"),
    "indicators-paper": ("{year} 年度共建共享绩效评价", "Yearly evaluation of sharing, {year}"),
    "basics": ("基本情况", "The agreement"),
    "usage": ("使用情况", "Use"),
    "ground": ("查看的范围", "The ground that was looked at"),
    "refusals": ("拒绝的请求", "Refusals"),
    "quota": ("用量额度", "Quota"),
    "downloads": ("数据下载", "Downloads"),
    "incidents": ("事件", "Incidents"),
    "amendments": ("协议变更", "Amendments"),
    "contributions": ("数据回馈", "Contributions"),
    "emergency": ("应急授权", "Emergency grants"),
    "tasks": ("待办事项", "Open tasks"),
    "indicators": ("评价指标", "Indicators"),
    "ranking": ("各单位评价结果", "All parties in order"),
    "agenda": ("议程与决定", "Agenda and decisions"),
    "agency-use": ("各单位使用情况", "Use by agency"),
    "agreement-use": ("各协议使用情况", "Use by agreement"),
    "expiring": ("即将到期的协议", "Agreements that end soon"),
    "how-counted": ("取数说明", "How it was counted"),
    # fields
    "agreement": ("协议编号", "Agreement"),
    "agreement-count": ("协议数", "Agreements"),
    "title": ("协议名称", "Title"),
    "parties": ("协议双方", "Parties"),
    "grantor": ("提供方", "Grantor"),
    "grantee": ("使用方", "Grantee"),
    "period": ("统计期间", "Period"),
    "term": ("有效期", "Term"),
    "state": ("状态", "State"),
    "version": ("版本", "Version"),
    "purpose": ("用途", "Purpose"),
    "made": ("编制时间", "Made"),
    "epoch": ("登记变更序号", "State of the register"),
    "from-to": ("{first} 至 {last}（共 {days} 天）", "{first} to {last} ({days} days)"),
    "open-end": ("长期", "open"),
    "is-emergency": ("应急授权：先执行后补批", "Emergency grant: in force before it was approved"),
    # tables that are no answers of the audit
    "dataset": ("数据集", "Dataset"),
    "cadence": ("周期", "Cadence"),
    "due": ("到期日", "Due"),
    "last_day": ("最迟提交日", "Last day"),
    "standing": ("状态（逾期起算日）", "Standing (late since)"),
    "received": ("收到时间", "Received"),
    "delivered": ("提交内容", "Delivered"),
    "findings": ("质检意见", "Findings"),
    "overdue_since": ("逾期起算日", "Overdue since"),
    "decided": ("应评期数", "Periods decided"),
    "on_time": ("按期期数", "In time"),
    "on_time_percent": ("按期率 %", "In time %"),
    "open": ("待交期数", "Open"),
    "overdue": ("逾期期数", "Overdue"),
    "returned": ("退回期数", "Returned"),
    "event": ("事项", "Event"),
    "comment": ("说明", "Comment"),
    "most": ("额度", "Limit"),
    "span": ("期限", "Span"),
    "megapixels": ("百万像素", "Megapixels"),
    "features": ("要素数", "Features"),
    "bytes": ("字节数", "Bytes"),
    "rate": ("速率", "Rate"),
    "rate-of": ("每秒 {rate} 次，突发 {burst} 次", "{rate} a second, {burst} at once"),
    "ground-limit": ("地面面积额度", "Limit of ground"),
    "ground-of": ("{span} {most} 平方公里（分辨率 {resolution} 米及更细；0 为不限）", "{most} km2 {span} (pixels of {resolution} m or finer; 0: any)"),
    "export-limit": ("累计下载面积额度", "Limit of downloaded ground"),
    "export-of": ("有效期内累计 {most} 平方公里", "{most} km2 in the term"),
    "most-in-span": ("各项额度的最高用量（统计期间内）", "The most that was used of each limit, in this period"),
    "counted-on-quota": ("计入额度的用量（含下级协议）", "Counted on the quota, by agreements under it as well"),
    "used": ("最高用量", "Most used"),
    "used_percent": ("占额度 %", "Of the limit %"),
    "measure": ("计量", "Measure"),
    "number": ("序号", "No."),
    "matter": ("议题", "Matter"),
    "basis": ("依据", "Basis"),
    "decision": ("决定", "Decision"),
    "responsible": ("责任人", "Who"),
    "deadline": ("期限", "By"),
    "turn": ("增减", "Turn"),
    "change": ("变更内容", "Change"),
    "gained": ("新增", "gained"),
    "lost": ("减少", "lost"),
    "changed": ("变更", "changed"),
    "since": ("起", "From"),
    "until": ("止", "Until"),
    "contact": ("联系人", "Contact"),
    "task": ("事项", "Task"),
    "is_late": ("逾期", "Late"),
    "sheet": ("1:1 万图幅", "1:10,000 sheet"),
    "stage": ("提醒", "Notice"),
    "given": ("发出时间", "Given"),
    "audience": ("对象", "For"),
    # columns of questions
    "requests": ("请求数", "Requests"),
    "permitted": ("全部提供", "Permitted"),
    "clipped": ("裁切后提供", "Clipped"),
    "refused": ("拒绝", "Refused"),
    "answered": ("提供", "Answered"),
    "refused_percent": ("拒绝率 %", "Refused %"),
    "share_percent": ("占比 %", "Share %"),
    "days_of_use": ("使用天数", "Days of use"),
    "days": ("天数", "Days"),
    "agencies": ("使用单位数", "Agencies"),
    "keys": ("使用的密钥数", "Keys used"),
    "agency": ("单位", "Agency"),
    "day": ("日期", "Day"),
    "week": ("周（周一）", "Week from"),
    "month": ("月份", "Month"),
    "hour": ("时", "Hour"),
    "operation": ("操作", "Operation"),
    "layer": ("图层", "Layer"),
    "layers": ("图层", "Layers"),
    "edition": ("版次", "Edition"),
    "key": ("密钥", "Key"),
    "app": ("应用", "Application"),
    "clause": ("条款", "Clause"),
    "code": ("原因", "Reason"),
    "at": ("时间", "Moment"),
    "effect": ("结果", "Effect"),
    "act": ("操作", "Act"),
    "acts": ("次数", "Acts"),
    "actor": ("操作人", "Actor"),
    "object": ("对象", "Object"),
    "outcome": ("结果", "Outcome"),
    "indicator": ("指标", "Indicator"),
    "value": ("数值", "Value"),
    "unit": ("单位", "Unit"),
    "source": ("来源", "Source"),
    "column": ("栏", "Column"),
    "better": ("方向", "Better"),
    "better-high": ("越高越好", "high"),
    "better-low": ("越低越好", "low"),
    "weight": ("权重", "Weight"),
    "questions": ("取数语句", "Questions"),
    "score": ("得分", "Score"),
    "rank": ("名次", "Rank"),
    # sentences
    "none-used": ("统计期间内没有请求。", "There was no request in this period."),
    "none-refused": ("统计期间内没有拒绝的请求。", "Nothing was refused in this period."),
    "none-downloaded": ("统计期间内没有数据下载。", "Nothing was downloaded in this period."),
    "none-happened": ("统计期间内没有暂停、恢复、停用密钥等事件。", "Nothing was suspended, resumed or revoked in this period."),
    "none-amended": ("统计期间内协议没有变更。", "Nothing was amended in this period."),
    "none-owed": ("协议未约定数据回馈。", "The agreement asks for no contribution."),
    "none-emergency": ("没有应急授权。", "There is no emergency grant."),
    "none-open": ("没有待办事项。", "There is no open task."),
    "none-limited": ("协议未约定用量额度。", "The agreement sets no limit."),
    "none-expiring": ("六个月内没有到期的协议。", "No agreement ends within six months."),
    "no-ground": ("协议授予的范围内没有可查看的图层。", "Nothing can be seen within the granted area."),
    "over-quota": ("因额度用完而拒绝的请求：{requests} 次，涉及 {days} 天。", "Refused because a quota was used up: {requests} requests on {days} days."),
    "daily": ("每日请求数", "Requests a day"),
    "weekly": ("每周请求数", "Requests a week"),
    "hourly": ("一天中各时段的请求数（北京时间）", "Requests by hour of the day (Asia/Shanghai)"),
    "by-clause": ("按条款的拒绝次数", "Refusals by clause"),
    "most-days": ("请求最多的五天", "The five busiest days"),
    "by-agency": ("各单位请求数", "Requests by agency"),
    "heat-caption": (
        "每个请求按其范围均摊到所触及的单元格（{cell}）。{cells} 个单元格中 {looked} 个有请求；范围超过 {most} 格的 {overviews} 次概览请求未计入。",
        "Each request is spread evenly over the cells its extent touches (a cell is {cell}). {looked} of {cells} cells were looked at; {overviews} "
        "overviews, of more than {most} cells, are left out.",
    ),
    "heat-requests": ("每格请求数", "Requests a cell"),
    "heat-untouched": ("无请求", "none"),
    "cell-part": ("1:1 万图幅的 {parts} 等分", "1:10,000 sheets in {parts} parts"),
    "cell-sheet": ("一幅 1:1 万图幅", "a 1:10,000 sheet"),
    "cell-sheets": ("{sheets} 幅 1:1 万图幅", "{sheets} sheets of 1:10,000"),
    "busiest-cells": ("请求最集中的单元格", "The cells that were looked at most"),
    "longitude": ("经度", "Longitude"),
    "latitude": ("纬度", "Latitude"),
    "counted-note": (
        "本材料的数字均由平台的决策日志（逐条封存、可核验）统计，每个数字下附取数语句，可用 geoshare audit sql 重新计算。"
        "一次请求涉及多个协议时，各协议分别计入。未经裁切全部提供的请求少，是因为协议通常只授予部分范围。",
        "Every figure is counted from the decision record, whose rows are sealed one over the other and can be verified. Beneath each stands the "
        "question that gave it: `geoshare audit sql` answers it again. A request that several agreements granted is told with each of them.",
    ),
    "ledger-note": (
        "回馈台账在登记库中，语句中列出了编制时的各期记录。逾期只提醒和上报，不会自动中止任何共享。",
        "The ledger is kept in the register; its periods stand in the question as they were when this was made. Being late is told and never ends "
        "anything by itself.",
    ),
    "score-note": (
        "得分为计分指标（百分比）按权重的加权平均；越低越好的指标以 100 减去数值计。没有数值的指标不计入。",
        "The score is the mean of the percentages that count, by their weights; where low is better, 100 less the value counts. What has no value "
        "counts for nothing.",
    ),
    "matter-overdue": (
        "{agreement} 回馈逾期 {periods} 期（{datasets}），最早一期 {due} 到期，已逾期 {days} 天",
        "{agreement}: {periods} periods of contributions are late ({datasets}); the first was due {due}, {days} days ago",
    ),
    "matter-quota": (
        "{agreement} 回馈逾期：是否按协议调减用量额度（应急图层不受影响）",
        "{agreement}: whether to reduce the quota as agreed, since contributions are late (never of emergency layers)",
    ),
    "until-day": ("宽限至 {day}", "until {day}"),
    "matter-refused": ("条款 {clause} 因“{code}”拒绝 {requests} 次：是否修订条款或指导使用单位", "Clause {clause} refused {requests} times ({code}): amend it, or advise"),
    "matter-expiring": ("协议 {agreement} 将于 {until} 到期：续签或终止", "Agreement {agreement} ends {until}: renew it or let it end"),
    "matter-emergency": ("应急授权 {agreement}：补办审批", "Emergency grant {agreement}: approve it afterwards"),
    "matter-last": ("上次会议决定的落实情况", "What became of the last decisions"),
    "matter-next": ("下次会议时间与需求", "Next meeting, and what is needed"),
    "matter-more": ("其余 {number} 项见“{chapter}”", "{number} more: see `{chapter}`"),
    "signed-by": ("与会人：", "Present:"),
    "signed-on": ("日期：", "Date:"),
    "seal": ("盖章", "Seal"),
})
"""Chinese, English."""

CODES = MappingProxyType({
    "granted": ("授予", "granted"),
    "no-agreement": ("无协议或无此图层", "no agreement, or no such layer"),
    "layer-not-granted": ("图层未授予", "layer not granted"),
    "superseded": ("已有新版本", "superseded"),
    "grantor-not-owner": ("授予方非所有者", "grantor is not the owner"),
    "suspended": ("已暂停", "suspended"),
    "not-active": ("协议未生效", "not active"),
    "not-in-force": ("不在有效期内", "not in force"),
    "operation-not-granted": ("操作未授予", "operation not granted"),
    "outside-area": ("超出范围", "outside the area"),
    "outside-scale": ("超出比例尺", "outside the scale"),
    "outside-resolution": ("超出分辨率", "outside the resolution"),
    "network-not-granted": ("网络来源不符", "network not granted"),
    "purpose-not-granted": ("用途不符", "purpose not granted"),
    "app-not-granted": ("应用不符", "application not granted"),
    "above-ceiling": ("密级超限", "above the ceiling"),
    "parent-not-granting": ("上级协议未授予", "parent does not grant it"),
    "over-quota": ("额度用完", "quota used up"),
    "format-not-granted": ("格式未授予", "format not granted"),
    "crs-not-granted": ("坐标系未授予", "CRS not granted"),
    "style-not-granted": ("样式未授予", "style not granted"),
    "attribute-not-granted": ("属性未授予", "attribute not granted"),
    "not-evaluable": ("条款无法判定", "can't be evaluated"),
    "extent-not-evaluable": ("范围无法判定", "extent can't be evaluated"),
    "own-layer": ("本单位图层", "own layer"),
})
"""Reasons of a decision in a word or two; `agreements.reasons` has the sentences."""

EFFECTS = MappingProxyType({"permit": ("全部提供", "permitted"), "clip": ("裁切后提供", "clipped"), "deny": ("拒绝", "refused")})

STANDINGS = MappingProxyType({
    "awaited": ("未到期", "awaited"), "due": ("已到期", "due"), "overdue": ("逾期", "overdue"), "received": ("已收到", "received"),
    "in-check": ("质检中", "in check"), "accepted": ("已接收", "accepted"), "returned": ("已退回", "returned"), "no-change": ("说明无变化", "no change"),
})

STATES = MappingProxyType({
    "draft": ("草稿", "draft"), "submitted": ("已提交", "submitted"), "approved": ("已批准", "approved"), "signed": ("已签署", "signed"),
    "active": ("生效", "active"), "suspended": ("暂停", "suspended"), "expired": ("到期", "expired"), "terminated": ("终止", "terminated"),
    "archived": ("归档", "archived"),
})

MEASURES = MappingProxyType({
    "requests": ("请求（次）", "requests"), "megapixels": ("像素（百万）", "megapixels"), "features": ("要素（个）", "features"),
    "bytes": ("数据量（字节）", "bytes"), "km2": ("地面面积（平方公里）", "km2 of ground"),
})

EVENTS = MappingProxyType({
    "suspend": ("暂停", "suspended"), "resume": ("恢复", "resumed"), "expire": ("到期", "expired"), "terminate": ("终止", "terminated"),
    "activate-emergency": ("应急启用", "put in force in an emergency"), "ratify": ("追认", "ratified"),
    "parent-changed": ("上级协议变动", "the agreement above changed"), "withdraw": ("撤回", "withdrawn"), "refuse": ("不予批准", "not approved"),
    "revoke-key": ("停用密钥", "key revoked"), "contribution.received": ("收到回馈", "contribution received"),
    "contribution.no-change": ("说明无变化", "no change stated"), "contribution.checked": ("回馈质检", "contribution checked"),
    "contribution.happened": ("回馈事件", "event noted"), "contribution.notice": ("回馈通知", "notice given"), "admin.acted": ("管理操作", "act of the office"),
    "submission.checked": ("提交数据检查", "submission checked"), "submission.accepted": ("提交数据接收", "submission accepted"),
    "submission.returned": ("提交数据退回", "submission returned"), "submission.not-published": ("提交数据未能发布", "submission not published"),
})
"""What is told of in the history of the register and in the audit."""

SPANS = MappingProxyType({"day": ("每日", "a day"), "month": ("每月", "a month"), "term": ("有效期内", "in the term")})


def word(name: str, language: str, **detail: object) -> str:
    """Raises KeyError where there is none: a bug."""
    said = WORDS[name][LANGUAGES.index(language)]
    return said.format(**detail) if detail else said


def coded(value: str, table: MappingProxyType, language: str) -> str:
    """A code in words, with the code itself where there are none."""
    return table[value][LANGUAGES.index(language)] if value in table else value


TABLES = {"code": CODES, "effect": EFFECTS, "standing": STANDINGS, "state": STATES, "measure": MEASURES, "span": SPANS, "event": EVENTS}
"""By column: what its values are in words."""


def told(value: object, column: str, language: str) -> str:
    """A value of a table as it is printed. A code keeps itself beside its words."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return ("是" if value else "否") if language == "zh" else ("yes" if value else "no")
    if isinstance(value, int | float):
        return f"{value:02}:00" if column == "hour" else str(value) if column == "version" else number(value)
    if isinstance(value, datetime):
        return value.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, date):
        return value.isoformat()
    if column == "agreement" and value == "*":
        return "合计" if language == "zh" else "all"
    if column in TABLES:
        words = coded(str(value), TABLES[column], language)
        return f"{words} {value}" if column == "code" and words.replace(" ", "-") != value else words
    return str(value)
