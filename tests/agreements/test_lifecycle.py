"""The life of an agreement: every move from every state by every role, and who must be another person."""

from dataclasses import replace
from datetime import timedelta
from itertools import count, product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_world import NOON, agreement, at

from agreements.errors import MoveRefused
from agreements.life.history import Event
from agreements.life.lifecycle import (
    COUNTING,
    IN_PREPARATION,
    KEPT,
    MOVES,
    OPERATOR,
    SYSTEM,
    WRITING,
    Action,
    Actor,
    Case,
    Role,
    Signature,
    allowed_moves,
    check_draft,
    check_move,
    is_unratified,
    signatures,
    state_at,
)
from agreements.life.refusals import REFUSALS
from agreements.model import BUREAU, State, Suspension, Term
from agreements.record import Record, Security

PAPER = "a" * 64


def person(login: str, *roles: Role, agency: str = BUREAU) -> Actor:
    return Actor(login=login, roles=frozenset(roles), agency=agency)


ADMINISTRATOR, APPROVER = person("adam", Role.ADMINISTRATOR), person("petra", Role.APPROVER)
MANAGER, AUDITOR = person("mara", Role.DATA_MANAGER), person("otto", Role.AUDITOR)
MEMBER = person("wei", Role.MEMBER, agency="water")
EVERYBODY = (ADMINISTRATOR, APPROVER, MANAGER, AUDITOR, MEMBER, OPERATOR, SYSTEM)


def history(*done: tuple[Action, str] | tuple[Action, str, dict]) -> tuple[Event, ...]:
    """Events of one version: action, who did it, detail."""
    numbers = count(1)
    return tuple(
        Event(
            number=next(numbers), epoch=1, at=NOON, kind="agreement", subject="AG-1 version 1", action=action.value, actor=actor,
            detail=detail[0] if detail else {}, document_hash=PAPER,
        )
        for action, actor, *detail in done
    )


def signed_by(party: str) -> dict:
    return Signature(party=party, signatory="张三", date="2026-11-20", document=PAPER).as_detail()


DRAFTED = ((Action.DRAFT, "dora"), (Action.SUBMIT, "dora"))
CHECKED = (*DRAFTED, (Action.CHECK, "carl"))
APPROVED = (*CHECKED, (Action.APPROVE, "anna"))
SIGNED = (*APPROVED, (Action.SIGN, "adam", signed_by(BUREAU)), (Action.SIGN, "adam", signed_by("water")))
ACTIVATED = (*SIGNED, (Action.ACTIVATE, "otis"))
IN_AN_EMERGENCY = ((Action.DRAFT, "dora"), (Action.ACTIVATE_EMERGENCY, "otis"))

PATHS = {
    State.DRAFT: DRAFTED[:1], State.SUBMITTED: CHECKED, State.APPROVED: APPROVED, State.SIGNED: SIGNED, State.ACTIVE: ACTIVATED,
    State.SUSPENDED: ACTIVATED, State.EXPIRED: ACTIVATED, State.TERMINATED: ACTIVATED, State.ARCHIVED: ACTIVATED,
}

SOON = Term(start=at(2026, 11, 1), end=NOON + timedelta(hours=24))


def case(state: State, *done, moment=NOON, **terms) -> Case:
    """A version in `state`, with the history that leads there unless another is given."""
    stopped = (Suspension(reason="flood", since=at(2026, 11, 1)),) if state is State.SUSPENDED else ()
    stored = State.ACTIVE if state is State.SUSPENDED else state
    return Case(agreement=agreement(state=stored, suspensions=stopped, **terms), history=history(*(done or PATHS[state])), at=moment)


def moved(case: Case, action: Action, actor: Actor, comment: str = "because", **detail) -> State:
    return check_move(case, action, actor, comment, detail)


def refused(case: Case, action: Action, actor: Actor, comment: str = "because", **detail) -> str:
    """The code of the refusal."""
    with pytest.raises(MoveRefused) as told:
        check_move(case, action, actor, comment, detail)
    return told.value.code


# Every cell

OFFICE = {Role.ADMINISTRATOR, Role.DATA_MANAGER}

TABLE = {
    (State.DRAFT, Action.EDIT): OFFICE,
    (State.DRAFT, Action.SUBMIT): OFFICE,
    (State.DRAFT, Action.WITHDRAW): OFFICE,
    (State.SUBMITTED, Action.CHECK): OFFICE | {Role.APPROVER},
    (State.SUBMITTED, Action.REQUEST_CHANGES): OFFICE | {Role.APPROVER},
    (State.SUBMITTED, Action.APPROVE): {Role.APPROVER},
    (State.SUBMITTED, Action.REFUSE): {Role.APPROVER},
    (State.SUBMITTED, Action.WITHDRAW): OFFICE,
    (State.APPROVED, Action.REQUEST_CHANGES): OFFICE | {Role.APPROVER},
    (State.APPROVED, Action.SIGN): {Role.ADMINISTRATOR, Role.MEMBER},
    (State.APPROVED, Action.WITHDRAW): OFFICE,
    (State.SIGNED, Action.ACTIVATE): {Role.ADMINISTRATOR},
    (State.SIGNED, Action.WITHDRAW): OFFICE,
    (State.ACTIVE, Action.TERMINATE): {Role.ADMINISTRATOR},
    (State.SUSPENDED, Action.TERMINATE): {Role.ADMINISTRATOR},
    (State.EXPIRED, Action.ARCHIVE): OFFICE,
    (State.TERMINATED, Action.ARCHIVE): OFFICE,
    **{(state, Action.SUSPEND): {Role.ADMINISTRATOR, Role.APPROVER, Role.OPERATOR} for state in COUNTING},
    **{(state, Action.RESUME): {Role.ADMINISTRATOR, Role.OPERATOR} for state in COUNTING},
    **{(state, Action.AMEND): OFFICE | {Role.SYSTEM} for state in COUNTING},
    **{(state, Action.CERTIFY): OFFICE for state in COUNTING},
    **{(state, Action.KEEP_BOUNDARY): {Role.ADMINISTRATOR} for state in (State.ACTIVE, State.SUSPENDED)},
}
"""Who may do what from where, of an agreement that is no emergency: all the rest is refused."""


@pytest.mark.parametrize("state, action, actor", list(product(State, Action, EVERYBODY)), ids=lambda one: getattr(one, "login", one))
def test_a_move_that_no_rule_allows_is_refused(state, action, actor):
    may = bool(actor.roles & TABLE.get((state, action), set()))
    assert (action in {move.action for move in allowed_moves(case(state), actor)}) is may
    if not may:
        with pytest.raises(MoveRefused):
            moved(case(state), action, actor, **signed_by("water"))


def test_what_the_table_allows_leads_where_it_says():
    def reach(state, action, actor, **detail):
        return moved(case(state), action, actor, **detail)

    assert reach(State.DRAFT, Action.SUBMIT, MANAGER) is State.SUBMITTED
    assert reach(State.SUBMITTED, Action.CHECK, MANAGER) is State.SUBMITTED
    assert reach(State.SUBMITTED, Action.REQUEST_CHANGES, MANAGER) is State.DRAFT
    assert reach(State.SUBMITTED, Action.APPROVE, APPROVER) is State.APPROVED
    assert reach(State.SUBMITTED, Action.REFUSE, APPROVER) is State.ARCHIVED
    assert reach(State.APPROVED, Action.REQUEST_CHANGES, APPROVER) is State.DRAFT
    assert reach(State.SIGNED, Action.ACTIVATE, ADMINISTRATOR) is State.ACTIVE
    assert reach(State.ACTIVE, Action.TERMINATE, ADMINISTRATOR) is State.TERMINATED
    assert reach(State.EXPIRED, Action.ARCHIVE, MANAGER) is State.ARCHIVED
    assert all(reach(state, Action.WITHDRAW, MANAGER) is State.ARCHIVED for state in IN_PREPARATION)


def test_only_the_office_begins_an_agreement():
    for actor in EVERYBODY:
        if actor.roles & OFFICE:
            check_draft(actor)
        else:
            with pytest.raises(MoveRefused, match="is for administrator, data_manager"):
                check_draft(actor)


def test_the_clock_drafts_a_renewal_but_begins_nothing():
    check_draft(SYSTEM, Action.AMEND)
    for actor in (APPROVER, AUDITOR, MEMBER, OPERATOR):
        with pytest.raises(MoveRefused, match="is for administrator, data_manager, system"):
            check_draft(actor, Action.AMEND)


@pytest.mark.parametrize("action", [action for action, move in MOVES.items() if move.needs_comment])
def test_what_takes_away_or_sends_back_needs_a_reason(action):
    state = next(iter(MOVES[action].sources & {State.DRAFT, State.SUBMITTED, State.ACTIVE}))
    one = case(state, is_emergency=True, term=SOON)
    actor = person("x", *MOVES[action].roles)
    detail = dict.fromkeys(KEPT, "2024") if action is Action.KEEP_BOUNDARY else {}
    assert refused(one, action, actor, comment="  ", **detail) == "comment-missing"
    moved(one, action, actor, **detail)


# Two persons

PEOPLE = ["dora", "carl", "anna", "otis"]


@given(
    writers=st.lists(st.tuples(st.sampled_from(sorted(WRITING)), st.sampled_from(PEOPLE)), min_size=1, max_size=6), checker=st.sampled_from(PEOPLE),
    approver=st.sampled_from(PEOPLE), activator=st.sampled_from(PEOPLE),
)
def test_whoever_wrote_a_version_neither_checks_nor_approves_it_and_whoever_approved_does_not_activate(writers, checker, approver, activator):
    """Whatever roles the persons have, and however often the draft went back and forth."""
    everything = (Role.ADMINISTRATOR, Role.APPROVER, Role.DATA_MANAGER)
    written = [*((Action(action), who) for action, who in writers), (Action.SUBMIT, writers[0][1])]
    wrote = {who for _, who in writers}
    submitted = case(State.SUBMITTED, *written)
    if checker in wrote:
        assert refused(submitted, Action.CHECK, person(checker, *everything)) == "same-person"
        return
    moved(submitted, Action.CHECK, person(checker, *everything))
    checked = case(State.SUBMITTED, *written, (Action.CHECK, checker))
    if approver in wrote:
        assert refused(checked, Action.APPROVE, person(approver, *everything)) == "same-person"
        assert refused(checked, Action.REFUSE, person(approver, *everything)) == "same-person"
        return
    moved(checked, Action.APPROVE, person(approver, *everything))
    signed = case(State.SIGNED, *written, (Action.CHECK, checker), (Action.APPROVE, approver))
    if activator == approver:
        assert refused(signed, Action.ACTIVATE, person(activator, *everything)) == "same-person"
    else:
        assert moved(signed, Action.ACTIVATE, person(activator, *everything)) is State.ACTIVE
        assert len({*wrote, approver, activator}) >= 2


def test_the_refusal_names_what_the_person_did_before():
    with pytest.raises(MoveRefused) as told:
        moved(case(State.SUBMITTED, *DRAFTED, (Action.CHECK, "carl")), Action.APPROVE, person("dora", Role.APPROVER))
    assert str(told.value) == "`dora` did `draft` on this version, so another person must do `approve`: ask a colleague"
    assert told.value.sentence("zh") == "`dora` 已对本版本执行过 `draft`，`approve` 须由另一人执行：请联系同事"


def test_every_refusal_has_its_sentence_in_both_languages():
    for sentences in REFUSALS.values():
        assert sentences.keys() == {"en", "zh"}


# Conformity, signatures

def test_nothing_is_approved_before_it_was_checked_and_a_new_submission_is_checked_anew():
    assert refused(case(State.SUBMITTED, *DRAFTED), Action.APPROVE, APPROVER) == "unchecked"
    again = (*CHECKED, (Action.REQUEST_CHANGES, "anna"), (Action.EDIT, "dora"), (Action.SUBMIT, "dora"))
    assert refused(case(State.SUBMITTED, *again), Action.APPROVE, APPROVER) == "unchecked"
    assert moved(case(State.SUBMITTED, *again, (Action.CHECK, "carl")), Action.APPROVE, APPROVER) is State.APPROVED


def test_it_is_signed_when_both_parties_have():
    assert moved(case(State.APPROVED), Action.SIGN, ADMINISTRATOR, **signed_by("water")) is State.APPROVED
    half = case(State.APPROVED, *APPROVED, (Action.SIGN, "adam", signed_by("water")))
    assert moved(half, Action.SIGN, ADMINISTRATOR, **signed_by(BUREAU)) is State.SIGNED
    assert refused(half, Action.SIGN, ADMINISTRATOR, **signed_by("water")) == "signed-already"
    assert signatures(half.history).keys() == {"water"}


def test_signatures_on_a_text_that_went_back_count_for_nothing():
    back = (*APPROVED, (Action.SIGN, "adam", signed_by("water")), (Action.REQUEST_CHANGES, "anna"), (Action.SUBMIT, "dora"), *CHECKED[2:], APPROVED[-1])
    assert signatures(history(*back)) == {}


def test_a_member_signs_for_his_own_agency_alone():
    one = case(State.APPROVED)
    assert moved(one, Action.SIGN, MEMBER, **signed_by("water")) is State.APPROVED
    assert refused(one, Action.SIGN, MEMBER, **signed_by(BUREAU)) == "not-a-party"
    assert refused(one, Action.SIGN, person("li", Role.MEMBER, agency="police"), **signed_by("police")) == "not-a-party"


@pytest.mark.parametrize("wrong, code", [
    ({"document": "b" * 64}, "other-document"), ({"date": "2026-11-24"}, "signature-date"), ({"date": "yesterday"}, "signature-date"),
    ({"signatory": " "}, "signature-missing"), ({"party": "police"}, "not-a-party"),
])
def test_a_signature_is_on_this_very_text_by_a_party_not_after_today(wrong, code):
    assert refused(case(State.APPROVED), Action.SIGN, ADMINISTRATOR, **{**signed_by("water"), **wrong}) == code


# The clock

@pytest.mark.parametrize("offset, state", [(timedelta(milliseconds=-1), State.ACTIVE), (timedelta(0), State.EXPIRED)])
def test_an_agreement_expires_at_its_last_moment_whether_or_not_anybody_noted_it(offset, state):
    end = at(2027, 1, 1)
    over = case(State.ACTIVE, moment=end + offset, term=Term(end=end))
    assert over.state is state
    if state is State.EXPIRED:
        assert moved(over, Action.EXPIRE, SYSTEM) is State.EXPIRED
        assert refused(over, Action.TERMINATE, ADMINISTRATOR) == "not-from-here"
    else:
        assert refused(over, Action.EXPIRE, SYSTEM) == "not-from-here"


def test_that_it_is_over_is_noted_once_and_by_the_clock_alone():
    end = at(2026, 11, 1)
    assert refused(case(State.ACTIVE, term=Term(end=end)), Action.EXPIRE, ADMINISTRATOR) == "role"
    assert refused(case(State.EXPIRED, term=Term(end=end)), Action.EXPIRE, SYSTEM) == "not-from-here"


def test_it_is_suspended_while_a_suspension_of_all_of_it_is_in_force():
    until = at(2026, 12, 1)
    held = agreement(suspensions=(Suspension(reason="flood", since=NOON, until=until),))
    assert [state_at(held, moment) for moment in (NOON - timedelta(microseconds=1), NOON, until - timedelta(microseconds=1), until)] == [
        State.ACTIVE, State.SUSPENDED, State.SUSPENDED, State.ACTIVE,
    ]
    assert state_at(agreement(suspensions=(Suspension(reason="flood", since=NOON, layers=frozenset({"dom"})),)), NOON) is State.ACTIVE


def test_a_version_that_was_replaced_neither_ends_nor_is_ended():
    for action, actor in ((Action.TERMINATE, ADMINISTRATOR), (Action.EXPIRE, SYSTEM)):
        old = case(State.ACTIVE, term=Term(end=NOON) if action is Action.EXPIRE else Term())
        replaced = replace(old, agreement=replace(old.agreement, replaced=NOON))
        assert refused(replaced, action, actor) == "replaced"
        moved(replace(old, agreement=replace(old.agreement, replaced=NOON + timedelta(days=1))), action, actor)


def test_what_owes_a_certificate_of_destruction_is_archived_when_it_came_in():
    owing = Record(security=Security(destruction_certificate=True))
    over = case(State.TERMINATED, record=owing)
    assert refused(over, Action.ARCHIVE, MANAGER) == "certificate-missing"
    contractors = case(State.TERMINATED, *ACTIVATED, (Action.CERTIFY, "mara", {"of": "某测绘公司"}), record=owing)
    assert refused(contractors, Action.ARCHIVE, MANAGER) == "certificate-missing"
    assert moved(case(State.TERMINATED, *ACTIVATED, (Action.CERTIFY, "mara"), record=owing), Action.ARCHIVE, MANAGER) is State.ARCHIVED


# Emergencies

def emergency(state=State.DRAFT, *done, term=SOON, **terms) -> Case:
    return case(state, *done, is_emergency=True, term=term, **terms)


@pytest.mark.parametrize("state", sorted(IN_PREPARATION))
def test_in_an_emergency_an_administrator_alone_puts_in_force_what_he_drafted(state):
    author = person("dora", Role.ADMINISTRATOR)
    assert moved(emergency(state), Action.ACTIVATE_EMERGENCY, author) is State.ACTIVE
    for actor in EVERYBODY:
        if actor is not ADMINISTRATOR:
            assert refused(emergency(state), Action.ACTIVATE_EMERGENCY, actor) == "role"


@pytest.mark.parametrize("end, is_allowed", [
    (NOON + timedelta(hours=72), True), (NOON + timedelta(hours=72, milliseconds=1), False), (None, False), (NOON, False),
])
def test_an_emergency_ends_within_its_hours(end, is_allowed):
    one = emergency(term=Term(start=at(2026, 11, 1), end=end))
    if is_allowed:
        assert moved(one, Action.ACTIVATE_EMERGENCY, ADMINISTRATOR) is State.ACTIVE
    else:
        assert refused(one, Action.ACTIVATE_EMERGENCY, ADMINISTRATOR) == "emergency-term"


def test_only_what_is_marked_as_an_emergency_and_ends_no_other_agreement_can_be_put_in_force_by_one_person():
    assert refused(case(State.DRAFT, term=SOON), Action.ACTIVATE_EMERGENCY, ADMINISTRATOR) == "no-emergency"
    assert refused(replace(emergency(), is_successor=True), Action.ACTIVATE_EMERGENCY, ADMINISTRATOR) == "emergency-amendment"


def test_it_is_ratified_by_another_person_also_when_it_is_over():
    for state in (State.ACTIVE, State.SUSPENDED, State.EXPIRED, State.TERMINATED):
        one = emergency(state, *IN_AN_EMERGENCY)
        assert is_unratified(one.history)
        for name in ("otis", "dora"):
            assert refused(one, Action.RATIFY, person(name, Role.APPROVER)) == "same-person"
        assert moved(one, Action.RATIFY, APPROVER) is one.agreement.state
    done = emergency(State.ACTIVE, *IN_AN_EMERGENCY, (Action.RATIFY, "petra"))
    assert not is_unratified(done.history)
    assert refused(done, Action.RATIFY, APPROVER) == "nothing-to-ratify"
    assert refused(case(State.ACTIVE), Action.RATIFY, APPROVER) == "nothing-to-ratify"
