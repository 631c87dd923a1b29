"""What an operation of the API refuses: a slug that names the sentence (messages.py, docs/errors.md), a status, and what is wrong of what was sent."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from geoserver_app.messages import sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldFault:
    """One thing wrong: where - a JSON pointer into the body, or the name of a query parameter - and the sentence that tells it.

    `text` is a sentence as another part of the house worded it, where it has no code; `line` is where a document has it, from 1.
    """

    pointer: str | None = None
    parameter: str | None = None
    line: int | None = None
    code: str = ""
    detail: Mapping[str, str] = field(default_factory=dict)
    text: str = ""

    def told(self, language: str) -> dict[str, object]:
        found = {
            "pointer": None if self.pointer is None else f"#{self.pointer}", "parameter": self.parameter, "line": self.line,
            "code": self.code or None, "detail": self.text or sentence(self.code, self.detail, language),
        }
        return {name: value for name, value in found.items() if value is not None}


class ApiFault(Exception):
    """The operation is not done."""

    def __init__(
        self, slug: str, status: int, detail: Mapping[str, str] | None = None, *,
        errors: tuple[FieldFault, ...] = (), headers: Mapping[str, str] | None = None,
    ):
        super().__init__(slug)
        self.slug, self.status, self.detail, self.errors, self.headers = slug, status, dict(detail or {}), errors, dict(headers or {})


class NothingThere(ApiFault):
    """There is no such object, or it is not the asker's to see: one answer, to the byte but for the id."""

    def __init__(self, object_id: str):
        super().__init__("nothing-there", 404, {"id": object_id[:200]})


class NotSignedIn(ApiFault):
    """Bearer, not Basic: a browser must not ask for a password that belongs into our own form."""

    def __init__(self, slug: str = "not-signed-in"):
        super().__init__(slug, 401, headers={"WWW-Authenticate": 'Bearer realm="geoshare-api"'})


class NotAllowed(ApiFault):
    """Known, but not with this role, or not like this."""

    def __init__(self, slug: str, detail: Mapping[str, str] | None = None):
        super().__init__(slug, 403, detail)


class InputFaulty(ApiFault):
    """What was sent can't be taken; every fault is told at once."""

    def __init__(self, *errors: FieldFault):
        super().__init__("input-faulty", 422, {"count": str(len(errors))}, errors=errors)


class InConflict(ApiFault):
    """It would go against what is there already. `reason` is the sentence, `code` its name where it has one."""

    def __init__(self, reason: str, code: str = ""):
        super().__init__("in-conflict", 409, {"reason": reason}, errors=(FieldFault(code=code, text=reason),) if code else ())


def document_pointer(place: str) -> str:
    """A place in a document as a JSON pointer.

    >>> document_pointer("grants[0].layers[2]"), document_pointer("")
    ('/grants/0/layers/2', '')
    """
    parts = [part for part in place.replace("[", ".").replace("]", "").split(".") if part]
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)
