"""The report on a contributed dataset: `report.json` for machines, `report.html` for people, in Chinese and English, and two pictures.

Nothing in it runs a script or is fetched from elsewhere. It is written whole or not at all, and read again for whoever reviews.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from geoserver_app.giving.checking import Checked
from geoserver_app.giving.comparing import CHANGES
from geoserver_app.giving.findings import Severity
from geoserver_app.giving.picture import Drawn, draw
from geoserver_app.messages import CHINESE

NAMES = {
    "kept": ("未变", "unchanged"), "added": ("新增", "added"), "removed": ("删除", "removed"), "moved": ("图形改变", "other shape"),
    "retold": ("属性改变", "other attributes"), "error": ("错误", "errors"), "warning": ("警告", "warnings"), "note": ("说明", "notes"),
    "agreed": ("协议范围", "agreed ground"),
}
"""Chinese, English."""

PICTURES = ("findings", "difference")


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What the report is about."""

    submission: str
    agreement: str
    agency: str
    dataset: str
    layer: str
    edition: str
    file_name: str
    sha256: str
    currency: str
    written: datetime


def write_report(checked: Checked, head: Head, folder: Path) -> None:
    """Into `folder`: report.json, report.html, findings.svg, difference.svg."""
    folder.mkdir(parents=True, exist_ok=True)
    document = as_document(checked, head)
    pictures = {name: picture_of(checked, name) for name in PICTURES}
    texts = {f"{name}.svg": text for name, text in pictures.items()} | {
        "report.html": _template().render(document=document, pictures=pictures, names=NAMES, changes=CHANGES, severities=list(Severity)),
        "report.json": json.dumps(document, ensure_ascii=False, indent=1),
    }
    for name, text in texts.items():
        part = folder / f"{name}.{os.getpid()}.part"
        part.write_text(text, encoding="utf-8")
        part.replace(folder / name)


def as_document(checked: Checked, head: Head) -> dict:
    return {
        "report": "geoshare-contribution-1", **{name: getattr(head, name) for name in Head.__slots__ if name != "written"},
        "written": head.written.isoformat(timespec="seconds"), "features": checked.features,
        "counts": {one.value: sum(finding.severity is one for finding in checked.findings) for one in Severity},
        "findings": [one.plain() for one in checked.findings], "differences": [one.plain() for one in checked.differences],
    }


def read_report(folder: Path) -> Mapping | None:
    """The document; None where there is none yet."""
    path = folder / "report.json"
    return json.loads(path.read_text("utf-8")) if path.is_file() else None


def picture_of(checked: Checked, name: str) -> str:
    if name == "difference":
        layers = [
            Drawn(kind=kind, label=f"{NAMES[kind][0]} {NAMES[kind][1]} {sum(one.changes[kind].count for one in checked.differences):,}",
                  shapes=[shape for one in checked.differences for shape in one.changes[kind].shapes])
            for kind in ("kept", "retold", "moved", "removed", "added")
        ]
        return draw(layers, "与现行版本的差异 · difference from the edition in force")
    ground = [checked.agreed.boundary] if checked.agreed is not None else []
    shapes = [shape for one in checked.differences for kind in ("added", "moved", "retold", "kept") for shape in one.changes[kind].shapes]
    found = {
        severity: [shape for one in checked.findings if one.severity is severity for shape in one.shapes] for severity in Severity
    }
    layers = [
        Drawn(kind="agreed", label=" ".join(NAMES["agreed"]), shapes=ground), Drawn(kind="kept", label="数据 data", shapes=shapes),
        *(Drawn(kind=severity.value, label=" ".join(NAMES[severity.value]), shapes=found[severity]) for severity in reversed(Severity)),
    ]
    return draw(layers, "检查发现的问题 · where the findings are", frame=[*shapes, *(one for some in found.values() for one in some)])


def told(document: Mapping, language: str) -> list[str]:
    """The findings as sentences."""
    return [one["zh" if language == CHINESE else "en"] for one in document["findings"]]


@cache
def _template() -> Template:
    rooms = Environment(
        loader=PackageLoader("geoserver_app", "templates/reports"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )
    return rooms.get_template("contribution.html")
