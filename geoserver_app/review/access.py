"""Who may read which papers of the review: a party its own agreement's, the bureau's people all, the coordination group's pack nobody else."""

from collections.abc import Iterable

from agreements.life.lifecycle import Actor, Role
from agreements.model import Agreement

BUREAU_ROLES = frozenset({Role.ADMINISTRATOR, Role.APPROVER, Role.AUDITOR, Role.DATA_MANAGER, Role.OPERATOR})


def may_read_group(actor: Actor) -> bool:
    """The pack of the coordination group and the ranking of all parties."""
    return bool(actor.roles & BUREAU_ROLES)


def may_read_agreement(actor: Actor, versions: Iterable[Agreement]) -> bool:
    """Its pack, ledger and indicators: for the people of the bureau, and members of a party."""
    if may_read_group(actor):
        return True
    return Role.MEMBER in actor.roles and any(actor.agency in (one.grantor, one.grantee) for one in versions)
