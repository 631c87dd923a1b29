"""What the register holds, as rows of JSON values: the form whose digest every event bears, and which a database stores.

A column without a value is not part of the digest, so that columns which come later leave the digests of older rows as they are.
"""

from collections.abc import Mapping

from agreements.life.history import Subject
from agreements.model import Agency, Agreement, Area, Key, State, Suspension
from agreements.plain import AreaOf, digest_of, from_plain, moment_of, moment_text, to_plain
from agreements.register.standing import Held, HeldKey, HeldSuspension, HeldVersion

NOT_COMPILED = frozenset({"agreement_id", "version", "state", "replaced"})
"""Of an agreement: columns of their own, and what follows from the other versions."""

KEY_SETS = ("networks", "referers", "origins")


def row_of(held: Held) -> dict:
    match held:
        case Agency():
            return {"agency_id": held.agency_id, "name_zh": held.name_zh, "name_en": held.name_en, "is_active": held.is_active}
        case HeldKey(key=key):
            return {
                "key_id": key.key_id, "agency_id": key.agency_id, "digest": key.digest, "label": key.label, "issued": moment_text(held.issued),
                "expires": _moment(key.expires), "revoked": _moment(key.revoked), "app": key.app or None, "purpose": key.purpose or None,
                "networks": _names(key.networks), "referers": _names(key.referers), "origins": _names(key.origins or None),
            }
        case HeldVersion(agreement=agreement):
            return {
                "agreement_id": agreement.agreement_id, "version": agreement.version, "state": agreement.state.value,
                "grantor": agreement.grantor, "grantee": agreement.grantee, "document": held.document,
                "compiled": to_plain(agreement, without=NOT_COMPILED), "registered": moment_text(held.registered),
            }
        case HeldSuspension(suspension=suspension):
            return {
                "suspension_id": held.suspension_id, "agreement_id": held.agreement_id, "reason": suspension.reason,
                "since": moment_text(suspension.since), "until": _moment(suspension.until), "lifted": _moment(held.lifted),
                "layers": _names(suspension.layers), "area": None if suspension.area is None else to_plain(suspension.area),
            }


def row_digest(row: Mapping) -> str:
    return digest_of({name: value for name, value in row.items() if value is not None})


def subject_of_row(kind: str, row: Mapping) -> Subject:
    if kind == "agreement":
        return Subject.agreement(row["agreement_id"], row["version"])
    return Subject(kind, str(row[IDS[kind]]))


IDS = {"agency": "agency_id", "key": "key_id", "suspension": "suspension_id"}


def held_of(kind: str, row: Mapping, area: AreaOf) -> Held:
    """What a row says. Raises KeyError, TypeError or ValueError where it says nothing that can be held."""
    match kind:
        case "agency":
            return Agency(**{name: row[name] for name in ("agency_id", "name_zh", "name_en", "is_active")})
        case "key":
            return HeldKey(
                key=Key(
                    key_id=row["key_id"], agency_id=row["agency_id"], digest=row["digest"], label=row["label"],
                    expires=_moment_of(row["expires"]), revoked=_moment_of(row["revoked"]), app=row["app"] or "", purpose=row["purpose"] or "",
                    networks=_set_of(row["networks"]), referers=_set_of(row["referers"]), origins=frozenset(row["origins"] or ()),
                ),
                issued=moment_of(row["issued"]),
            )
        case "agreement":
            return HeldVersion(
                agreement=from_plain(
                    Agreement, row["compiled"], area, agreement_id=row["agreement_id"], version=row["version"], state=State(row["state"]),
                    replaced=None,
                ),
                registered=moment_of(row["registered"]),
            )
        case "suspension":
            return HeldSuspension(
                suspension_id=row["suspension_id"], agreement_id=row["agreement_id"], lifted=_moment_of(row["lifted"]),
                suspension=Suspension(
                    reason=row["reason"], since=moment_of(row["since"]), until=_moment_of(row["until"]), layers=_set_of(row["layers"]),
                    area=None if row["area"] is None else area(row["area"]),
                ),
            )
    raise ValueError(f"no kind `{kind}`")


def areas_of(held: Held) -> list[Area]:
    """Those whose geometry is kept beside the row."""
    match held:
        case HeldVersion(agreement=agreement):
            return [one.area for one in agreement.grants] + [one.area for one in agreement.suspensions if one.area is not None]
        case HeldSuspension(suspension=suspension) if suspension.area is not None:
            return [suspension.area]
    return []


def _moment(moment):
    return None if moment is None else moment_text(moment)


def _moment_of(text):
    return None if text is None else moment_of(text)


def _names(names):
    return None if names is None else sorted(names)


def _set_of(names):
    return None if names is None else frozenset(names)
