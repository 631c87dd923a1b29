"""What is wrong with an overlay, as a code and its details: told in the asker's language wherever it is told, also years later."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from geoserver_app.messages import CHINESE, sentence
from geoserver_app.validation.words import in_chinese
from layers.errors import LayerRejected

DIVISIONS = "divisions:"
"""Before the vintage of boundaries, where they are the reference that something was compared with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something to tell, good or bad: `code` names the sentence."""

    code: str
    detail: Mapping[str, str] = field(default_factory=dict)

    def told(self, language: str) -> str:
        detail = dict(self.detail)
        if self.code == "overlay-rejected" and language == CHINESE:
            detail |= {name: in_chinese(detail[name]) for name in ("fault", "mend")}
        if self.code == "overlay-note" and language == CHINESE:
            detail["note"] = in_chinese(detail["note"])
        if detail.get("reference", "").startswith(DIVISIONS):
            vintage = detail["reference"].removeprefix(DIVISIONS)
            detail["reference"] = f"{vintage} 版行政区划界线" if language == CHINESE else f"the boundaries of divisions of {vintage}"
        return sentence(self.code, detail, language)

    def plain(self) -> dict:
        return {"code": self.code, "detail": dict(self.detail)}

    @classmethod
    def of(cls, plain: Mapping) -> "Finding":
        return cls(code=plain["code"], detail=plain["detail"])

    @classmethod
    def rejected(cls, error: LayerRejected) -> "Finding":
        return cls(code="overlay-rejected", detail={"name": error.source, "fault": error.fault, "mend": error.mend})


class OverlayInvalid(Exception):
    """It can't be taken in, drawn or asked like this."""

    def __init__(self, code: str, **detail: object):
        super().__init__(code)
        self.finding = Finding(code=code, detail={name: str(value) for name, value in detail.items()})

    @classmethod
    def by(cls, finding: Finding) -> "OverlayInvalid":
        return cls(finding.code, **finding.detail)
