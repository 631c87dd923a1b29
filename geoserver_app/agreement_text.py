"""An agreement as the Chinese text that two parties sign (共建共享协议), from the very values that are enforced.

Chapters are numbered 第一章 ..., articles 第一条 ... through the whole text; grants bear the clause numbers of the document, so that a refusal
which names clause 3.1 is found under 3.1. The canonical digest of the agreement stands on every page: a text and a register that have the same
one say the same. What a document leaves open is said by the text as it is enforced, never left to be guessed.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import partial
from pathlib import Path

from agreements.areas import EVERYWHERE_DIGEST
from agreements.compare.difference import Ground
from agreements.document.canonical import canonical_digest
from agreements.document.reading import DURATION, SHANGHAI
from agreements.model import Agreement, Area, Grant, Operation, Suspension, Term
from agreements.quota import Limit, Measure, Quota, Window
from agreements.record import Channel, Contribution, OnOverdue, Party, RenewalMode, Role, UnitScope
from agreements.register import AgreementRegister
from geoserver_app.area_drawings import Drawings
from geoserver_app.papers.blocks import (
    CHINESE,
    Block,
    Clause,
    Document,
    Fields,
    Figure,
    Heading,
    Paragraph,
    Seal,
    Seals,
    Table,
)
from geoserver_app.purposes import load_purposes
from geoserver_app.review.indicators import load_indicators
from layers.catalogue import Catalogue
from layers.crs import geodesic_km2

OPERATIONS = {
    Operation.GET_MAP: "地图浏览（GetMap）", Operation.GET_TILE: "瓦片（GetTile）", Operation.GET_FEATURE_INFO: "点查询（GetFeatureInfo）",
    Operation.GET_FEATURE: "要素（GetFeature）", Operation.GET_COVERAGE: "栅格数值（GetCoverage）", Operation.DOWNLOAD: "数据下载（Download）",
}
PRODUCTS = {"DOM": "数字正射影像（DOM）", "DEM": "数字高程模型（DEM）", "DLG": "数字线划图（DLG）", "OVERLAY": "专题数据（OVERLAY）"}
CLASSIFICATIONS = ("公开", "内部", "秘密", "机密", "绝密")
ROLES = {Role.PROVIDER: "数据提供方", Role.USER: "数据使用方", Role.MANAGER: "数据管理单位"}
CHANNELS = {Channel.API: "服务接口", Channel.UPLOAD: "在线上传", Channel.OFFLINE: "离线介质", Channel.MIRROR: "镜像同步", None: "双方商定"}
ON_OVERDUE = {
    OnOverdue.REMIND: "提醒", OnOverdue.ESCALATE: "逾期 30 日报协调小组", OnOverdue.REDUCE_QUOTA: "逾期 30 日提请协调小组核减配额", OnOverdue.NONE: "无",
}
MEASURES = {
    Measure.REQUESTS: "请求次数", Measure.MEGAPIXELS: "影像量（百万像素，不含透明像素）", Measure.FEATURES: "要素个数", Measure.BYTES: "数据量（字节）",
    Measure.GROUND: "浏览过的地面（平方公里，不重复计算）",
}
WINDOWS = {Window.DAY: "每日", Window.MONTH: "每月", Window.TERM: "协议期限内"}
RHYTHMS = {"P1D": "每日", "P1W": "每周", "P10D": "每旬", "P1M": "每月", "P3M": "每季度", "P6M": "每半年", "P1Y": "每年"}

PRINCIPLE = "平等互利、紧密协作、优势互补、资源共享"

MOST_NAMES = 24
"""Places that are named within a table; more are listed in an annex."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What codes are called. A code that is not there stands for itself; `division` gives "" for one, of a code and a vintage."""

    agencies: Mapping[str, str] = field(default_factory=dict)
    purposes: Mapping[str, str] = field(default_factory=dict)
    indicators: Mapping[str, str] = field(default_factory=dict)
    division: Callable[[str, str], str] = lambda code, vintage: ""


Picture = Callable[[Area], str | None]
"""A small map of an area, as SVG."""


def agreement_text(agreement: Agreement, names: Names = Names(), picture: Picture = lambda area: None) -> Document:
    """The text of an agreement as it was registered or read: without suspensions that were added later, since it is what was signed.

    Parameters
    ----------
    picture : Picture
        Draws the area of a grant; None where it can't be drawn.
    """
    digest = canonical_digest(agreement)
    writing = _Writing(agreement, names, picture)
    return Document(
        title=agreement.title, language=CHINESE, number=f"编号：{agreement.agreement_id}　　第 {agreement.version} 版",
        blocks=tuple(block for chapter in CHAPTERS for block in chapter(writing)), footer=f"协议摘要 SHA-256 {digest}",
    )


def registered_text(
    catalogue: Catalogue, register: AgreementRegister, config: Path, agreement_id: str, version: int | None = None, picture: Picture | None = None,
) -> Document:
    """The text of an agreement of the register, the newest version unless one is named, with its areas over the outlines of divisions unless
    `picture` draws them otherwise. Raises AgreementNotDefined."""
    named: dict[str, dict[str, str]] = {}

    def division(code: str, vintage: str) -> str:
        if vintage not in named:
            named[vintage] = {row[0]: row[1] for row in catalogue.divisions(vintage or None)}
        return named[vintage].get(code, "")

    names = Names(
        agencies={one.agency_id: one.name_zh for one in register.agencies()}, division=division,
        purposes={code: one.zh for code, one in load_purposes(config).items()},
        indicators={code: one.zh for code, one in load_indicators(config).items()},
    )
    return agreement_text(register.registered(agreement_id, version), names, picture or partial(_ground, Drawings(catalogue)))


def _ground(drawings: Drawings, area: Area) -> str | None:
    return drawings.of_change(Ground(), Ground(), Ground(area.geometry, drawings.km2(area)), CHINESE) or None


class _Writing:
    """Numbers chapters and articles as they are written, and keeps the lists that go to the annex."""

    def __init__(self, agreement: Agreement, names: Names, picture: Picture):
        self.agreement, self.record, self.names, self.picture = agreement, agreement.record, names, picture
        self.chapters, self.articles, self.annexes = 0, 0, []
        self.digest = canonical_digest(agreement)

    def chapter(self, title: str) -> Heading:
        self.chapters += 1
        return Heading(level=1, text=f"第{numeral(self.chapters)}章　{title}", clause_id=f"第{numeral(self.chapters)}章")

    def article(self, text: str) -> Clause:
        self.articles += 1
        return Clause(number=f"第{numeral(self.articles)}条", text=text)

    def agency(self, agency_id: str) -> str:
        party = next((one for one in self.record.parties if one.agency == agency_id), None)
        return (party.legal_name if party else "") or self.names.agencies.get(agency_id, agency_id)

    def purposes(self, codes: Sequence[str]) -> str:
        return "、".join(self.names.purposes.get(code, code) for code in codes)


# Chapters, in order

def _parties(writing: _Writing) -> Iterator[Block]:
    agreement = writing.agreement
    described = {party.agency: party for party in writing.record.parties}
    yield writing.chapter("双方")
    yield writing.article(
        f"数据提供方：{writing.agency(agreement.grantor)}（以下称甲方）。\n数据使用方：{writing.agency(agreement.grantee)}（以下称乙方）。"
        "\n双方经协商一致，就地理信息共建共享订立本协议。"
    )
    sides = {agreement.grantor: ("甲方", Role.PROVIDER), agreement.grantee: ("乙方", Role.USER)}
    for agency in (*sides, *(one for one in described if one not in sides)):
        title, role = sides.get(agency, (ROLES[Role.MANAGER], Role.MANAGER))
        yield Fields(pairs=_party(title, agency, described.get(agency, Party(agency=agency, role=role)), writing))


def _party(title: str, agency: str, party: Party, writing: _Writing) -> tuple[tuple[str, str], ...]:
    contacts = "\n".join("　".join(part for part in (one.name, one.duty, one.phone, one.email) if part) for one in party.contacts)
    return _told(
        (title, f"{writing.agency(agency)}（代号 {agency}）"), ("角色", ROLES[party.role]), ("法定代表人", party.legal_person), ("联系人", contacts),
        ("签署日期", party.signed and spoken_day(party.signed)),
    )


def _basis(writing: _Writing) -> Iterator[Block]:
    agreement, record = writing.agreement, writing.record
    yield writing.chapter("依据与原则")
    if agreement.basis:
        yield writing.article("本协议依据下列法律、法规和文件订立：\n" + "\n".join(f"（{numeral(n)}）{one}" for n, one in enumerate(agreement.basis, 1)))
    yield writing.article(f"合作原则：{_sentence(record.principle or PRINCIPLE)}")
    if agreement.purpose:
        yield writing.article(f"共享目的：{_sentence(agreement.purpose)}")
    if agreement.parent:
        yield writing.article(
            f"本协议是协议 {agreement.parent} 的下级协议：甲方依该协议取得的内容，在该协议允许的范围内转授乙方。该协议未授予、已缩减、暂停或终止的内容，"
            "本协议相应地不授予，不另行通知。"
        )
    if agreement.is_emergency:
        yield writing.article("本协议为应急授权：可先行生效、事后补办审批，自生效起至多七十二小时，并在评审中单列。")


def _grants(writing: _Writing) -> Iterator[Block]:
    agreement = writing.agreement
    yield writing.chapter("共享内容")
    yield writing.article(
        "甲方按以下各条款向乙方共享数据。每一条款是一项完整的许可：一次请求须全部符合其中某一条款方可获准；各条款不得拼合使用；"
        "未列明的图层、操作、范围和属性，均不共享。"
    )
    for grant in agreement.grants:
        yield Heading(level=2, text=f"条款 {grant.clause}　{_what(grant)}", clause_id=grant.clause)
        yield Table(headings=("项目", "约定"), rows=_terms(grant, writing))
        if grant.area.digest != EVERYWHERE_DIGEST and (svg := writing.picture(grant.area)):
            yield Figure(svg=svg, caption=f"条款 {grant.clause} 范围示意图（不作为定界依据，范围以几何摘要 {grant.area.digest[:16]}… 为准）", width=0.62)
    if agreement.suspensions:
        yield writing.article("订立时已约定暂停的内容如下；暂停期间，任何条款均不得据以提供：")
        yield Table(headings=("图层", "范围", "期间", "原因"), rows=tuple(_suspension(one, writing) for one in agreement.suspensions))
    yield writing.article("比例尺与地面分辨率按地面真实尺度计算，由平台根据请求范围和像素数得出，不以请求方声明为准。")


def _what(grant: Grant) -> str:
    return "、".join([*sorted(grant.layers), *(f"全部{PRODUCTS.get(one, one)}" for one in sorted(grant.products))])


def _terms(grant: Grant, writing: _Writing) -> tuple[tuple[str, str], ...]:
    return _told(
        ("图层", "、".join(_layer(name) for name in sorted(grant.layers))),
        ("产品", grant.products and f"甲方现有及今后的{'、'.join(PRODUCTS.get(one, one) for one in sorted(grant.products))}"),
        ("版本", _editions(grant)), ("操作", "、".join(said for one, said in OPERATIONS.items() if one in grant.operations)),
        ("范围", _area(grant.area, f"条款 {grant.clause}", writing)), ("比例尺", _scale(grant)), ("地面分辨率", _resolution(grant)),
        ("降精", grant.degrade and f"自固定的 {_number(grant.degrade)} 米格网取值，任何请求均不优于该格网"), ("期限", _term(grant.term) or "同本协议"),
        ("格式", _any("、", grant.formats, "平台提供的全部格式")), ("坐标系", _any("、", grant.crs, "平台提供的全部坐标系")),
        ("样式", _any("、", grant.styles, "平台提供的全部样式")), ("属性", _attributes(grant)),
        ("要素筛选", grant.rows and f"仅限符合下列条件的要素（CQL2）：\n{grant.rows}"),
        ("来源网络", _any("、", grant.networks, "")), ("用途", "" if grant.purposes is None else writing.purposes(sorted(grant.purposes)) or "无"),
        ("应用", _any("、", grant.apps, "")), ("密级上限", "" if grant.ceiling is None else CLASSIFICATIONS[grant.ceiling]),
    )


def _layer(name: str) -> str:
    layer, _, edition = name.partition("@")
    return f"{layer}（{_edition(edition)}）" if edition else layer


def _edition(name: str) -> str:
    return "最新版" if name == "latest" else f"{name} 版"


def _editions(grant: Grant) -> str:
    return "全部版本" if grant.editions is None else "、".join(_edition(one) for one in sorted(grant.editions))


def _attributes(grant: Grant) -> str:
    if grant.attributes is None:
        return "全部属性"
    return "、".join(sorted(grant.attributes)) or "不含属性"


def _any(sign: str, values: frozenset[str] | None, otherwise: str) -> str:
    return otherwise if values is None else sign.join(sorted(values)) or "无"


def _scale(grant: Grant) -> str:
    finest, coarsest = grant.scale.finest, grant.scale.coarsest
    return _between(finest and f"不大于 1:{_number(finest)}", coarsest and f"不小于 1:{_number(coarsest)}") or "不限"


def _resolution(grant: Grant) -> str:
    finest, coarsest = grant.resolution.finest, grant.resolution.coarsest
    return _between(finest and f"像元不小于 {_number(finest)} 米", coarsest and f"像元不大于 {_number(coarsest)} 米")


def _between(*parts: str | None) -> str:
    return "，".join(part for part in parts if part)


def _suspension(suspension: Suspension, writing: _Writing) -> tuple[str, str, str, str]:
    layers = "全部" if suspension.layers is None else "、".join(sorted(suspension.layers))
    area = "全部范围" if suspension.area is None else _area(suspension.area, "暂停", writing)
    return layers, area, _term(Term(start=suspension.since, end=suspension.until)), suspension.reason


# Areas

def _area(area: Area, title: str, writing: _Writing) -> str:
    """What it was named by, its size on the ellipsoid and the digest of its geometry."""
    if area.digest == EVERYWHERE_DIGEST:
        return "各图层的全部范围"
    said = json.loads(area.words) if area.words else []
    named = [part for spec in ([said] if isinstance(said, dict) else said) for part in _place(spec, title, writing)]
    return "\n".join([
        *(named or [area.title]), f"面积约 {_number(round(geodesic_km2(area.geometry), 2))} 平方公里", f"几何摘要 SHA-256 {area.digest}",
    ])


def _place(spec: Mapping, title: str, writing: _Writing) -> Iterator[str]:
    if "divisions" in spec:
        vintage = str(spec.get("vintage", ""))
        divisions = [f"{name}（{code}）" if (name := writing.names.division(code, vintage)) else code for code in _listed(spec["divisions"])]
        bounded = f"（{vintage} 版界线）" if vintage else ""
        yield f"行政区划{bounded}：{_names(divisions, '个', f'{title}：行政区划', writing)}"
    if "sheets" in spec:
        yield f"图幅（GB/T 13989）：{_names(_listed(spec['sheets']), '幅', f'{title}：图幅', writing)}"
    if "geojson" in spec:
        yield f"按图形划定，坐标系 {spec.get('crs', 'CRS:84')}"
    if "buffer" in spec:
        buffer = spec["buffer"]
        yield f"所绘图形周围 {_number(buffer.get('metres', 0))} 米以内，坐标系 {buffer.get('crs', 'CRS:84')}"
    if spec.get("everywhere"):
        yield "各图层的全部范围"


def _listed(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


def _names(names: list[str], unit: str, title: str, writing: _Writing) -> str:
    if len(names) <= MOST_NAMES:
        return "、".join(names)
    writing.annexes.append((title, names))
    return f"{'、'.join(names[:3])}等共 {_number(len(names))} {unit}，清单见附件"


# What is given back, limits of use, security

def _contributions(writing: _Writing) -> Iterator[Block]:
    yield writing.chapter("数据汇交")
    contributions = writing.record.contributions
    if not contributions:
        yield writing.article("本协议未约定乙方汇交数据。")
        return
    yield writing.article("乙方按下表向甲方汇交数据，并对所汇交数据的真实性和合法性负责：")
    yield Table(
        headings=("数据集", "周期", "首次到期", "渠道与格式", "要求", "逾期处理"),
        rows=tuple(_contribution(one) for one in contributions),
    )
    yield writing.article(
        "到期前七日、到期当日及逾期七日，平台向乙方联系人提醒；逾期三十日，报协调小组。逾期不自动影响应急图层的使用；核减配额须经人工决定。"
    )


def _contribution(one: Contribution) -> tuple[str, ...]:
    wanted = (
        one.spec and f"标准：{one.spec}", one.geometry and f"几何：{one.geometry}", one.join_key and f"关联字段：{one.join_key}",
        "无偿" if one.free else "有偿，另行约定", "无变化时可书面说明" if one.no_change_statement else "无变化时亦须汇交",
        one.grace_days and f"宽限 {one.grace_days} 日", one.note,
    )
    return (
        one.dataset, spoken_rhythm(one.cadence), spoken_day(one.first_due) if one.first_due else "首个周期届满",
        "\n".join(part for part in (CHANNELS[one.channel], one.format) if part), "\n".join(part for part in wanted if part), ON_OVERDUE[one.on_overdue],
    )


def _use(writing: _Writing) -> Iterator[Block]:
    agreement, use = writing.agreement, writing.record.use
    yield writing.chapter("使用限制")
    yield writing.article("本协议授予的使用权不可转让、非独占。乙方主体资格发生变更的，应重新申请并重新签署；变更期间甲方可暂停共享。")
    if use.purposes:
        yield writing.article(f"数据仅限用于：{writing.purposes(use.purposes)}。超出用途使用的，应事先取得甲方书面同意。")
    if use.unit_scope is UnitScope.NAMED:
        yield writing.article(f"数据限于乙方本单位及下列单位使用：{'、'.join(use.sub_units) or '无'}。")
    else:
        yield writing.article("数据限于乙方本单位（法人）使用，不扩展至其上级、下级或同级单位。")
    yield from _third_parties(writing)
    yield writing.article("数据及其衍生成果不得在互联网上发布、登载或传输。" if not use.internet else "数据可按国家公开地图管理的规定在互联网上使用。")
    if use.derived:
        yield writing.article(f"衍生成果：{_sentence(use.derived)}")
    yield writing.article(
        "任何复制件、转换格式后的数据，均视同原始数据管理。" + ("乙方进行格式转换或编辑的，应向甲方备案。" if use.conversion_report else "")
    )
    if agreement.credit:
        yield writing.article(f"乙方使用数据时，应在显著位置标注：“{agreement.credit}”。")
    if agreement.mark is not None:
        where = "平铺于整幅" if agreement.mark.place == "tiled" else "置于一角"
        yield writing.article(f"平台在向乙方提供的每幅图上加注可见标记“{agreement.mark.text}”（{where}，不透明度 {_number(agreement.mark.opacity)}），乙方不得去除、遮盖。")
    if use.device_serials:
        yield writing.article(f"存储数据的介质登记编号：{'、'.join(use.device_serials)}。")


def _third_parties(writing: _Writing) -> Iterator[Block]:
    use = writing.record.use
    onward = _sentence(use.onward) if use.onward else ""
    if not use.third_party:
        yield writing.article(f"未经甲方书面同意，乙方不得向任何第三方提供数据或其衍生成果。{onward}")
        return
    yield writing.article(f"乙方可将数据提供给受其委托、已签署保密承诺的承包单位，仅限于受托项目；项目结束后，承包单位应销毁数据，由乙方监督。{onward}")
    if use.contractors:
        yield Table(headings=("承包单位", "承诺书", "销毁期限"), rows=tuple(
            (one.name, one.undertaking or "—", spoken_day(one.destroy_by) if one.destroy_by else "项目结束时") for one in use.contractors
        ))


def _security(writing: _Writing) -> Iterator[Block]:
    security = writing.record.security
    yield writing.chapter("安全保密")
    level = "" if security.classification is None else f"本协议所涉数据的最高密级为{CLASSIFICATIONS[security.classification]}。"
    where = f"数据限于在{security.network}内存储、处理和传输。" if security.network else ""
    yield writing.article(f"双方按照国家保密规定，依数据密级管理数据。{level}{where}")
    if security.undertaking:
        yield writing.article(f"乙方已签署保密承诺书（{security.undertaking}）。")
    contact = f"，并报告{security.incident_contact}" if security.incident_contact else ""
    yield writing.article(f"发现数据泄露、丢失或者超范围使用的，应立即停止使用、保存记录{contact}，共同处置。")
    yield writing.article(
        "平台对每次请求作出决定并留存记录：何单位、何时、依何条款、对何图层与范围、准许与否。记录逐条相连，乙方可核验其中本单位的部分。"
    )
    if security.destruction_certificate:
        yield writing.article("协议终止后，乙方应销毁数据及其全部复制件，并向甲方出具销毁证明。")
    else:
        yield writing.article("协议终止后，乙方应停止使用并销毁数据及其全部复制件。")


# Quota

def _quota(writing: _Writing) -> Iterator[Block]:
    yield writing.chapter("配额")
    quota = writing.agreement.quota
    if quota is None:
        yield writing.article("本协议不设配额；甲方为保障平台运行采取的普遍性限流措施除外。")
        return
    yield writing.article("乙方在本协议下的全部密钥共用下列配额，各项同时有效；用尽后至下一期间开始前不再提供，平台在应答中告知余量：")
    yield Table(headings=("计量", "期间", "上限"), rows=tuple(_quota_rows(quota)))


def _quota_rows(quota: Quota) -> Iterator[tuple[str, str, str]]:
    if quota.rate is not None:
        yield "请求速率", "每秒", f"{_number(quota.rate.per_second)} 次，突发 {_number(quota.rate.burst)} 次"
    for limit in quota.limits:
        yield MEASURES[limit.measure] + _at_resolution(limit), WINDOWS[limit.window], _number(limit.most)
    if quota.export_km2 is not None:
        yield "下载范围（平方公里，历次下载合并计算）", WINDOWS[Window.TERM], _number(quota.export_km2)


def _at_resolution(limit: Limit) -> str:
    return "" if limit.resolution is None else f"，像元不大于 {_number(limit.resolution)} 米"


# Coordination, term, liability

def _coordination(writing: _Writing) -> Iterator[Block]:
    coordination, review = writing.record.coordination, writing.record.review
    yield writing.chapter("协调与评审")
    yield Fields(pairs=_told(
        ("协调小组", coordination.group), ("组长", "、".join(coordination.leads)), ("成员", "、".join(coordination.members)),
        ("例会", coordination.meeting and spoken_rhythm(coordination.meeting)), ("年度评审", review.month and f"每年 {review.month} 月"),
        ("评价指标", "、".join(writing.names.indicators.get(code, code) for code in review.indicators)), ("业务联系", writing.agreement.contact),
    ))
    yield writing.article("例会和评审以平台的记录为准，议题包括：使用情况、被拒请求及其条款、配额、事件、协议变更、数据汇交。评审材料中的每个数字均附取数语句。")
    yield writing.article("一方发现数据有误的，可提出疑义；提供方应自收到之日起十个工作日内核实并答复。")


def _period(writing: _Writing) -> Iterator[Block]:
    agreement, renewal = writing.agreement, writing.record.renewal
    yield writing.chapter("期限与续签")
    yield writing.article(f"本协议的期限：{_term(agreement.term)}。时间均为北京时间。")
    notice = f"期满前 {renewal.notice_days} 日，平台告知双方。"
    if agreement.term.end is None or renewal.mode is RenewalMode.NONE:
        yield writing.article("本协议期满不续签。" if agreement.term.end is not None else "本协议不设终止日期，任何一方可依本协议提出终止。")
    elif renewal.mode is RenewalMode.AUTO:
        yield writing.article(f"{notice}双方无异议的，由平台起草续签文本，续期 {spoken_period(renewal.period)}；续签文本仍须经双人复核方能生效。")
    else:
        yield writing.article(f"{notice}是否续签、续期 {spoken_period(renewal.period)}，由双方在期满前的评审中决定。")
    yield writing.article("本协议的变更以新版本作出，旧版本不作改动；新版本自其期限起始之时取代旧版本，由平台列明增减的图层、范围、操作和属性。")


def _liability(writing: _Writing) -> Iterator[Block]:
    record = writing.record
    if record.fees or record.delivery:
        yield writing.chapter("费用与交付")
        if record.fees:
            yield writing.article(f"费用：{_sentence('；'.join(record.fees))}")
        if record.delivery:
            yield writing.article("交付：\n" + "\n".join(f"（{numeral(n)}）{one}" for n, one in enumerate(record.delivery, 1)))
    yield writing.chapter("违约责任")
    yield writing.article(_sentence(record.breach) if record.breach else "一方违反本协议的，另一方可书面要求改正；情节严重的，可暂停或终止共享，并依法追究责任。")
    yield writing.article("甲方暂停或终止共享的，应说明原因；暂停、终止自平台登记起两秒内在全部服务上生效。")
    if record.liability:
        yield writing.article(f"责任：{_sentence(record.liability)}")


def _dispute(writing: _Writing) -> Iterator[Block]:
    yield writing.chapter("争议解决")
    steps = writing.record.coordination.dispute
    path = f"依次由{'、'.join(steps)}协调解决" if steps else "由双方协商解决；协商不成的，报共同的上级主管部门协调"
    yield writing.article(f"因本协议发生的争议，{path}。")


def _effect(writing: _Writing) -> Iterator[Block]:
    agreement = writing.agreement
    yield writing.chapter("效力")
    yield writing.article(
        f"本协议由平台按协议数据自动执行。本文本由同一协议数据生成，其规范形式的摘要为\nSHA-256 {writing.digest}\n摘要一致的，文本与所执行的内容一致；"
        "不一致的，以双方签署的文本为准，并立即更正。"
    )
    yield writing.article("本协议自双方签字盖章、并在平台登记生效之日起执行。")
    yield Heading(level=1, text="签署", clause_id="签署")
    yield Seals(parties=tuple(
        Seal(party=f"{side}：{writing.agency(agency)}", lines=("法定代表人或授权代表（签字）：", "日期：　　　　年　　月　　日"), seal=f"（{side}公章）")
        for side, agency in (("甲方", agreement.grantor), ("乙方", agreement.grantee))
    ))


def _annexes(writing: _Writing) -> Iterator[Block]:
    attachments = writing.record.attachments
    if attachments:
        yield Heading(level=1, text="附件", clause_id="附件")
        yield Table(headings=("附件", "SHA-256"), rows=tuple((one.name, one.sha256) for one in attachments))
    for title, names in writing.annexes:
        yield Heading(level=1 if not attachments else 2, text=f"附件　{title}（共 {_number(len(names))} 个）")
        yield Paragraph(text="、".join(names))


CHAPTERS = (
    _parties, _basis, _grants, _contributions, _use, _security, _quota, _coordination, _period, _liability, _dispute, _effect, _annexes,
)


# How values are said

DIGITS = "零一二三四五六七八九"


def numeral(number: int) -> str:
    """
    >>> [numeral(n) for n in (1, 10, 11, 20, 35, 100, 101, 110, 215)]
    ['一', '十', '十一', '二十', '三十五', '一百', '一百零一', '一百一十', '二百一十五']
    """
    hundreds, rest = divmod(number, 100)
    tens, ones = divmod(rest, 10)
    said = f"{DIGITS[hundreds]}百" if hundreds else ""
    if tens:
        said += ("" if tens == 1 and not hundreds else DIGITS[tens]) + "十"
    elif hundreds and ones:
        said += DIGITS[0]
    return said + (DIGITS[ones] if ones else "")


def spoken_day(day: date) -> str:
    """
    >>> spoken_day(date(2026, 1, 31))
    '2026 年 1 月 31 日'
    """
    return f"{day.year} 年 {day.month} 月 {day.day} 日"


def _moment(moment: datetime) -> str:
    clock = f"{moment:%H:%M:%S}" if moment.second or moment.microsecond else f"{moment:%H:%M}"
    return f"{spoken_day(moment.date())} {clock}"


def _term(term: Term) -> str:
    """Half-open: a term that ends at midnight ends with the day before."""
    said = []
    if term.start is not None:
        start = term.start.astimezone(SHANGHAI)
        said.append(f"自 {spoken_day(start.date()) if start.time() == time() else _moment(start)}起")
    if term.end is not None:
        end = term.end.astimezone(SHANGHAI)
        said.append(f"至 {spoken_day(end.date() - timedelta(days=1))}止（含当日）" if end.time() == time() else f"至 {_moment(end)} 止（不含该时刻）")
    return "".join(said)


def spoken_rhythm(duration: str) -> str:
    """
    >>> spoken_rhythm("P3M"), spoken_rhythm("P1Y6M"), spoken_rhythm("")
    ('每季度', '每 1 年 6 个月', '发生时')
    """
    return RHYTHMS.get(duration) or (f"每 {spoken_period(duration)}" if duration else "发生时")


def spoken_period(duration: str) -> str:
    """
    >>> spoken_period("P3Y"), spoken_period("P1Y6M"), spoken_period("P2W")
    ('3 年', '1 年 6 个月', '2 周')
    """
    parts = DURATION.fullmatch(duration).groups()
    return " ".join(f"{int(part[:-1])} {unit}" for part, unit in zip(parts, ("年", "个月", "周", "日"), strict=True) if part and int(part[:-1]))


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.4f}".rstrip("0")


def _sentence(text: str) -> str:
    """With its full stop, which people may have written or not."""
    return text if text.endswith(tuple("。；！？.;!?")) else f"{text}。"


def _told(*pairs: tuple[str, str | None]) -> tuple[tuple[str, str], ...]:
    return tuple((name, said) for name, said in pairs if said)
