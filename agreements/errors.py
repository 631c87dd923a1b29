"""What can be wrong with an agreement or the register of them.

    AgreementsError
      DocumentInvalid(faults)      a document with faults, each with its line and field
      AreaInvalid(faults)          words that stand for no area on the ground
      AgreementNotDefined          no such agreement
      AgencyNotDefined             no such agency
      KeyNotDefined                no such key
      AlreadyRegistered            that id and version exist, with other content, or a newer version does
      MoveRefused(code)            the life of an agreement does not allow this move, here or by this person
      OverlayDenied(decision)      nothing of what was asked may be seen
      RegisterUnavailable          the register can't be trusted: answer 503, never 200
"""

from dataclasses import dataclass

from agreements.life.refusals import ENGLISH, REFUSALS


class AgreementsError(Exception):
    """Anything this package refuses to do."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong in a document: where (1-based line, dotted field) and what, with the mend."""

    line: int | None
    field: str
    message: str

    def __str__(self) -> str:
        return f"{f'line {self.line}: ' if self.line else ''}{self.field}: {self.message}"


class DocumentInvalid(AgreementsError):
    def __init__(self, name: str, faults: tuple[Fault, ...]):
        listing = "\n".join(f"  {fault}" for fault in faults)
        super().__init__(f"{name}: {len(faults)} fault{'s' if len(faults) != 1 else ''}\n{listing}")
        self.name, self.faults = name, faults


class AreaInvalid(AgreementsError):
    """`faults` pairs the place in the words of the area ("divisions[1]") with a sentence."""

    def __init__(self, faults: tuple[tuple[str, str], ...]):
        super().__init__("; ".join(f"{field}: {message}" if field else message for field, message in faults))
        self.faults = faults


class AgreementNotDefined(AgreementsError):
    def __init__(self, agreement_id: str):
        super().__init__(f"agreement `{agreement_id}` is not registered: see `geoshare agreement list`")


class AgencyNotDefined(AgreementsError):
    def __init__(self, agency_id: str):
        super().__init__(f"agency `{agency_id}` is not registered: add it with `geoshare agency add {agency_id}`")


class KeyNotDefined(AgreementsError):
    def __init__(self, key_id: str):
        super().__init__(f"key `{key_id}` is not registered: see `geoshare key list`")


class AlreadyRegistered(AgreementsError):
    pass


class MoveRefused(AgreementsError):
    """`code` is for machines; `sentence` says it in "zh" or "en". A detail may itself be told in each: `{"zh": ..., "en": ...}`."""

    def __init__(self, code: str, **detail):
        self.code, self.detail = code, detail
        super().__init__(self.sentence(ENGLISH))

    def sentence(self, language: str) -> str:
        spoken = {name: value[language] if isinstance(value, dict) else value for name, value in self.detail.items()}
        return REFUSALS[self.code][language].format(**spoken)


class OverlayDenied(AgreementsError):
    def __init__(self, decision):
        super().__init__("; ".join(reason.code for reason in decision.reasons) or "no agreement")
        self.decision = decision


class RegisterUnavailable(AgreementsError):
    pass
