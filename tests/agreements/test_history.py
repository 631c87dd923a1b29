"""The history of the register: moves leave sealed events, every moment can be had again, and what was edited by hand is found."""

from dataclasses import replace
from datetime import timedelta

import pytest
from databases import engine_for
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_world import BOTH, EAST, NOON, WEST, agreement, at, grant, request

from agreements.decision import decide
from agreements.errors import AgreementNotDefined, AlreadyRegistered, MoveRefused, RegisterUnavailable
from agreements.life.history import FIRST_SEAL, broken_seals, sealed
from agreements.life.lifecycle import SYSTEM, Action, Actor, Role, Signature
from agreements.model import BUREAU, Agency, Effect, State, Term
from agreements.record import Record, UseLimits
from agreements.register import InMemoryRegister, SqlRegister, metadata, rehearsal_of

WATER = Agency(agency_id="water", name_zh="省水利厅", name_en="Department of Water Resources")
POLICE = Agency(agency_id="police", name_zh="省公安厅", name_en="Department of Public Security")
CONTRACTOR = Agency(agency_id="contractor", name_zh="某测绘公司", name_en="A surveying company")

DORA = Actor(login="dora", roles=frozenset({Role.DATA_MANAGER}))
CARL = Actor(login="carl", roles=frozenset({Role.DATA_MANAGER, Role.ADMINISTRATOR}))
ANNA = Actor(login="anna", roles=frozenset({Role.APPROVER}))
OTIS = Actor(login="otis", roles=frozenset({Role.ADMINISTRATOR}))


class Clock:
    def __init__(self):
        self.moment = NOON

    def __call__(self):
        return self.moment


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def register(request, clock):
    if request.param == "memory":
        return peopled(InMemoryRegister(clock))
    return peopled(SqlRegister(request.getfixturevalue(f"{request.param}_database")(), clock))


def peopled(register):
    for agency in (WATER, POLICE, CONTRACTOR):
        register.add_agency(agency)
    return register


def sign(register, agreement_id, version, party, actor=OTIS):
    paper = register.document_hash(agreement_id, version)
    detail = Signature(party=party, signatory="张三", date="2026-11-20", document=paper).as_detail()
    return register.move(agreement_id, version, Action.SIGN, actor, detail=detail)


def put_in_force(register, one, text="text"):
    """By the whole way from draft to active."""
    register.add_draft(one, text, DORA)
    name = (one.agreement_id, one.version)
    register.move(*name, Action.SUBMIT, DORA)
    register.move(*name, Action.CHECK, CARL)
    register.move(*name, Action.APPROVE, ANNA)
    sign(register, *name, one.grantor)
    sign(register, *name, one.grantee)
    register.move(*name, Action.ACTIVATE, OTIS)


def effect(register, agency="water", **asked):
    return decide(request(agency=agency, **asked), register.snapshot().agreements.get(agency, ())).effect


def states(register):
    return {(one.agreement_id, one.version): one.state for one in register.list()}


# The way into force, and out of it

def test_an_agreement_counts_for_nothing_and_nobody_is_told_of_it_until_it_is_active(register):
    one = agreement()
    register.add_draft(one, "text", DORA)
    for action, actor in ((Action.SUBMIT, DORA), (Action.CHECK, CARL), (Action.APPROVE, ANNA)):
        register.move("AG-1", 1, action, actor)
        assert register.snapshot().agreements == {}
    sign(register, "AG-1", 1, BUREAU)
    sign(register, "AG-1", 1, "water")
    assert states(register) == {("AG-1", 1): State.SIGNED} and register.snapshot().agreements == {}
    register.move("AG-1", 1, Action.ACTIVATE, OTIS)
    assert effect(register) is Effect.CLIP
    assert [(event.action, event.actor) for event in register.history("AG-1")] == [
        ("draft", "dora"), ("submit", "dora"), ("conformity-check", "carl"), ("approve", "anna"), ("sign", "otis"), ("sign", "otis"),
        ("activate", "otis"),
    ]


def test_every_move_is_refused_to_the_wrong_person_and_leaves_no_trace(register):
    register.add_draft(agreement(), "text", DORA)
    before = register.epoch(), register.history()
    with pytest.raises(MoveRefused):
        register.move("AG-1", 1, Action.SUBMIT, ANNA)
    with pytest.raises(MoveRefused):
        register.move("AG-1", 1, Action.ACTIVATE, OTIS)
    with pytest.raises(MoveRefused):
        register.add_draft(agreement(agreement_id="AG-2"), "text", ANNA)
    with pytest.raises(AgreementNotDefined):
        register.move("AG-1", 2, Action.SUBMIT, DORA)
    assert (register.epoch(), register.history()) == before


def test_an_amendment_replaces_the_version_before_it_only_once_it_is_active(register):
    put_in_force(register, agreement())
    amended = agreement(grant(area=BOTH), version=2)
    register.add_draft(amended, "second", DORA)
    assert effect(register, extent=EAST.geometry.buffer(-0.01)) is Effect.DENY
    assert register.history("AG-1")[-1].action == "amend"
    for action, actor in ((Action.SUBMIT, DORA), (Action.CHECK, CARL), (Action.APPROVE, ANNA)):
        register.move("AG-1", 2, action, actor)
    sign(register, "AG-1", 2, BUREAU)
    sign(register, "AG-1", 2, "water")
    register.move("AG-1", 2, Action.ACTIVATE, OTIS)
    assert effect(register, extent=EAST.geometry.buffer(-0.01)) is Effect.PERMIT
    with pytest.raises(MoveRefused, match="version 1 was replaced"):
        register.move("AG-1", 1, Action.TERMINATE, OTIS, comment="over")


def test_what_was_refused_or_withdrawn_replaces_nothing_and_the_next_version_can_be_drafted(register):
    put_in_force(register, agreement())
    register.add_draft(agreement(grant(area=BOTH), version=2), "second", DORA)
    with pytest.raises(MoveRefused, match="version 2 is draft and not yet decided"):
        register.add_draft(agreement(version=3), "third", DORA)
    register.move("AG-1", 2, Action.WITHDRAW, DORA, comment="not needed")
    assert effect(register) is Effect.CLIP
    assert [one.version for one in register.snapshot().agreements["water"]] == [1]
    register.add_draft(agreement(version=3), "third", DORA)
    register.move("AG-1", 3, Action.SUBMIT, DORA)
    register.move("AG-1", 3, Action.REFUSE, ANNA, comment="no basis")
    assert effect(register) is Effect.CLIP and states(register)["AG-1", 3] is State.ARCHIVED


def test_a_terminated_agreement_grants_nothing_and_can_be_archived(register):
    put_in_force(register, agreement())
    register.move("AG-1", 1, Action.TERMINATE, OTIS, comment="breach")
    assert effect(register) is Effect.DENY
    register.move("AG-1", 1, Action.ARCHIVE, DORA)
    assert effect(register) is Effect.DENY and states(register) == {("AG-1", 1): State.ARCHIVED}


def test_that_an_agreement_is_over_is_noted_by_the_clock(register, clock):
    end = at(2026, 12, 1)
    put_in_force(register, agreement(term=Term(start=at(2026, 1, 1), end=end)))
    clock.moment = end - timedelta(milliseconds=1)
    with pytest.raises(MoveRefused):
        register.move("AG-1", 1, Action.EXPIRE, SYSTEM)
    assert effect(register, at=clock.moment) is Effect.CLIP
    clock.moment = end
    assert effect(register, at=clock.moment) is Effect.DENY
    register.move("AG-1", 1, Action.EXPIRE, SYSTEM)
    assert states(register) == {("AG-1", 1): State.EXPIRED}


def test_moves_that_have_a_way_of_their_own_are_sent_there(register):
    put_in_force(register, agreement())
    for action in (Action.SUSPEND, Action.AMEND, Action.IMPORT):
        with pytest.raises(ValueError, match="is done by"):
            register.move("AG-1", 1, action, OTIS)


# Drafts

def test_a_draft_is_edited_by_whoever_saw_its_present_text(register):
    register.add_draft(agreement(), "first", DORA)
    seen = register.document_hash("AG-1")
    register.replace_draft(agreement(grant(area=BOTH)), "second", CARL, replacing=seen)
    assert register.document("AG-1") == "second" and register.document_hash("AG-1") != seen
    assert register.list()[0].grants[0].area.digest == BOTH.digest
    with pytest.raises(MoveRefused, match="somebody else has changed the draft"):
        register.replace_draft(agreement(grant(area=EAST)), "third", DORA, replacing=seen)
    register.move("AG-1", 1, Action.SUBMIT, DORA)
    with pytest.raises(MoveRefused, match="only a draft can be edited"):
        register.replace_draft(agreement(), "third", DORA, replacing=register.document_hash("AG-1"))


def test_whoever_edited_a_draft_does_not_approve_it(register):
    both = Actor(login="both", roles=frozenset({Role.DATA_MANAGER, Role.APPROVER}))
    register.add_draft(agreement(), "first", DORA)
    register.replace_draft(agreement(grant(area=BOTH)), "second", both, replacing=register.document_hash("AG-1"))
    register.move("AG-1", 1, Action.SUBMIT, DORA)
    register.move("AG-1", 1, Action.CHECK, CARL)
    with pytest.raises(MoveRefused, match="`both` did `edit`"):
        register.move("AG-1", 1, Action.APPROVE, both)


def test_a_draft_has_the_number_after_the_newest_version(register):
    put_in_force(register, agreement())
    with pytest.raises(MoveRefused, match="number the draft 2, not 3"):
        register.add_draft(agreement(version=3), "third", DORA)
    with pytest.raises(AlreadyRegistered):
        register.add_draft(agreement(), "text", DORA)


def test_what_is_being_prepared_is_not_put_in_force_by_giving_its_text_in_once_more(register):
    register.add_draft(agreement(), "text", DORA)
    with pytest.raises(MoveRefused, match="version 1 is being prepared here"):
        register.register(agreement(), "text")
    with pytest.raises(MoveRefused, match="version 1 is draft and not yet decided"):
        register.register(agreement(version=2), "second")
    assert effect(register) is Effect.DENY


def test_an_agreement_that_was_in_force_before_it_came_here_is_imported_by_the_operator(register):
    register.register(agreement(), "text")
    (event,) = register.history("AG-1")
    assert (event.action, event.actor, event.state) == ("import", "(operator)", State.ACTIVE)


# Suspensions by people

def test_suspending_and_resuming_are_moves_of_people_too(register):
    put_in_force(register, agreement())
    with pytest.raises(MoveRefused, match="is for administrator, approver, operator"):
        register.suspend("AG-1", reason="flood", actor=DORA)
    register.suspend("AG-1", reason="flood", actor=ANNA)
    assert register.case("AG-1").state is State.SUSPENDED and effect(register) is Effect.DENY
    with pytest.raises(MoveRefused, match="is for administrator, operator"):
        register.resume("AG-1", actor=ANNA)
    register.resume("AG-1", actor=OTIS, comment="it is over")
    assert register.case("AG-1").state is State.ACTIVE
    assert [(event.action, event.actor, event.comment) for event in register.history("AG-1")[-2:]] == [
        ("suspend", "anna", "flood"), ("resume", "otis", "it is over"),
    ]


def test_what_was_never_in_force_cannot_be_suspended(register):
    register.add_draft(agreement(), "text", DORA)
    with pytest.raises(MoveRefused, match="`suspend` is no move of an agreement that is draft"):
        register.suspend("AG-1", reason="flood")


# Emergencies

def test_an_emergency_is_in_force_at_once_flagged_until_another_person_ratifies_it_and_over_by_its_term(register, clock):
    end = NOON + timedelta(hours=24)
    one = agreement(is_emergency=True, term=Term(start=NOON, end=end))
    register.add_draft(one, "text", OTIS)
    register.move("AG-1", 1, Action.ACTIVATE_EMERGENCY, OTIS, comment="the dike at Jiangdu")
    assert effect(register) is Effect.CLIP and effect(register, at=end) is Effect.DENY
    with pytest.raises(MoveRefused, match="another person must do `ratify`"):
        register.move("AG-1", 1, Action.RATIFY, replace(OTIS, roles=frozenset({Role.APPROVER})))
    register.move("AG-1", 1, Action.RATIFY, ANNA)
    clock.moment = end
    register.move("AG-1", 1, Action.EXPIRE, SYSTEM)
    assert effect(register, at=end) is Effect.DENY


def test_an_emergency_cannot_stand_in_the_place_of_an_agreement_that_goes_on(register):
    put_in_force(register, agreement())
    register.add_draft(agreement(version=2, is_emergency=True, term=Term(start=NOON, end=NOON + timedelta(hours=24))), "second", OTIS)
    with pytest.raises(MoveRefused, match="make the emergency an agreement of its own"):
        register.move("AG-1", 2, Action.ACTIVATE_EMERGENCY, OTIS, comment="flood")


def test_the_hours_of_an_emergency_are_a_setting(clock):
    register = peopled(InMemoryRegister(clock, emergency=timedelta(hours=1)))
    register.add_draft(agreement(is_emergency=True, term=Term(start=NOON, end=NOON + timedelta(hours=2))), "text", OTIS)
    with pytest.raises(MoveRefused, match="within 1 hours"):
        register.move("AG-1", 1, Action.ACTIVATE_EMERGENCY, OTIS, comment="flood")


# Agreements under agreements

LENT = Record(use=UseLimits(third_party=True))
"""The grantee may pass it on."""

CHILD = agreement(grant(area=WEST), agreement_id="AG-1-A", grantor="water", grantee="contractor", parent="AG-1")


def test_an_agreement_passes_on_only_what_its_grantor_holds_now(register):
    with pytest.raises(MoveRefused, match="the agreement above, `AG-1`, is not in force"):
        register.register(CHILD, "child")
    register.add_draft(agreement(grant(area=BOTH), record=LENT), "text", DORA)
    with pytest.raises(MoveRefused, match="is not in force"):
        register.register(CHILD, "child")
    register.move("AG-1", 1, Action.WITHDRAW, DORA, comment="again")
    put_in_force(register, agreement(grant(area=BOTH), version=2, record=LENT))
    with pytest.raises(MoveRefused, match="is granted to `water`, so `police` can't pass anything on"):
        register.register(replace(CHILD, grantor="police"), "child")
    put_in_force(register, CHILD)
    assert effect(register, "contractor") is Effect.CLIP
    register.register(replace(CHILD, agreement_id="AG-1-B", grantee="police"), "child")
    register.move("AG-1", 2, Action.TERMINATE, OTIS, comment="over")
    assert effect(register, "contractor") is Effect.DENY
    with pytest.raises(MoveRefused, match="is not in force"):
        register.register(replace(CHILD, agreement_id="AG-1-C", grantee="police"), "child")


@pytest.mark.parametrize("beyond, told", [
    ({"grants": (grant(area=BOTH),)}, "clause 3.1"),
    ({"grants": (grant(layers=frozenset({"dem"})),)}, "clause 3.1 grants `dem`"),
    ({"term": Term(start=at(2026, 1, 1), end=at(2030, 1, 1))}, "counts when the agreement above does not"),
    ({"grantee": "police"}, None),
])
def test_an_agreement_that_passes_on_more_than_the_one_above_is_not_put_in_force(register, beyond, told):
    put_in_force(register, agreement(grant(area=WEST), record=LENT))
    child = replace(CHILD, **beyond)
    if told is None:
        put_in_force(register, child)
        return
    with pytest.raises(MoveRefused, match=told) as refused:
        put_in_force(register, child)
    assert "其授予内容超出上级协议" in refused.value.sentence("zh")
    assert states(register)["AG-1-A", 1] is State.SIGNED and effect(register, "contractor", layer="dem") is Effect.DENY
    with pytest.raises(MoveRefused, match=told):
        register.register(replace(child, agreement_id="AG-1-Z"), "child")


def test_the_history_of_a_child_tells_what_became_of_the_agreement_above(register):
    put_in_force(register, agreement(grant(area=BOTH), record=LENT))
    put_in_force(register, replace(CHILD, record=LENT))
    grandchild = agreement(agreement_id="AG-1-A-1", grantor="contractor", grantee="police", parent="AG-1-A")
    put_in_force(register, grandchild)
    register.suspend("AG-1", reason="flood")
    register.resume("AG-1")
    put_in_force(register, agreement(grant(area=EAST), version=2, record=LENT))
    told = [event.detail["done"] for event in register.history("AG-1-A-1") if event.action == Action.PARENT_CHANGED]
    assert told == ["suspend", "resume", "activate"]
    assert effect(register, "contractor") is effect(register, "police") is Effect.DENY


# As of a moment

MOVES = {
    "import": lambda r, n: r.register(agreement(grant(area=(EAST, WEST, BOTH)[n % 3]), version=n), f"text {n}"),
    "suspend": lambda r, n: r.suspend("AG-1", reason=f"reason {n}", layers=frozenset({"dom"}) if n % 2 else None),
    "suspend for a while": lambda r, n: r.suspend("AG-1", reason="while", until=NOON + timedelta(minutes=n + 1)),
    "resume": lambda r, n: r.resume("AG-1"),
    "draft": lambda r, n: r.add_draft(agreement(version=n), f"draft {n}", DORA),
    "submit": lambda r, n: r.move("AG-1", n - 1, Action.SUBMIT, DORA),
    "withdraw": lambda r, n: r.move("AG-1", n - 1, Action.WITHDRAW, DORA, comment="no"),
    "terminate": lambda r, n: r.move("AG-1", n - 1, Action.TERMINATE, OTIS, comment="over"),
    "archive": lambda r, n: r.move("AG-1", n - 1, Action.ARCHIVE, OTIS),
    "expire": lambda r, n: r.move("AG-1", n - 1, Action.EXPIRE, SYSTEM),
    "put in force": lambda r, n: put_in_force(r, agreement(version=n), f"text {n}"),
    "rename": lambda r, n: r.add_agency(replace(WATER, name_en=f"Water {n}", is_active=bool(n % 2))),
    "issue": lambda r, n: r.issue_key("water", label=str(n), app="flood", networks=frozenset({"10.0.0.0/8"})),
    "revoke": lambda r, n: r.revoke_key(next(iter(r.snapshot().keys.values())).key_id) if r.snapshot().keys else None,
}


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@given(steps=st.lists(st.tuples(st.sampled_from(sorted(MOVES)), st.booleans()), max_size=14))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_register_as_of_any_moment_is_what_it_was_then(kind, steps, tmp_path_factory):
    clock = Clock()
    if kind == "memory":
        register = peopled(InMemoryRegister(clock))
    else:
        engine = engine_for(f"sqlite:///{tmp_path_factory.mktemp('register') / 'register.sqlite'}")
        metadata.create_all(engine)
        register = peopled(SqlRegister(engine, clock))
    remembered = [(clock.moment, register.snapshot())]
    for action, is_later in steps:
        clock.moment += timedelta(minutes=1) if is_later else timedelta(0)
        try:
            MOVES[action](register, 1 + max((one.version for one in register.list()), default=0))
        except (MoveRefused, AgreementNotDefined):
            pass
        remembered.append((clock.moment, register.snapshot()))
    for moment, snapshot in remembered:
        assert register.as_of(epoch=snapshot.epoch) == snapshot
        last_of_moment = [one for then, one in remembered if then == moment][-1]
        assert register.as_of(moment) == last_of_moment
    assert register.as_of(NOON - timedelta(days=1)).agreements == {}
    assert register.faults() == ()
    if kind == "sqlite":
        fresh = SqlRegister(engine, clock)
        assert fresh.snapshot() == register.snapshot()
        assert fresh.as_of(remembered[0][0]) == register.as_of(remembered[0][0])
        engine.dispose()


def test_a_moment_or_an_epoch_is_asked_for_and_not_both(register):
    for asked in ({}, {"moment": NOON, "epoch": 1}):
        with pytest.raises(ValueError, match="as of which"):
            register.as_of(**asked)


def test_an_event_is_never_before_the_last_and_a_clock_far_behind_writes_nothing(register, clock):
    register.register(agreement(), "text")
    clock.moment = NOON - timedelta(seconds=1.5)
    stop = register.suspend("AG-1", reason="flood")
    assert stop.since == clock.moment and register.history()[-1].at == NOON
    clock.moment = NOON - timedelta(seconds=3)
    with pytest.raises(RegisterUnavailable, match="the clock of this machine is 3 s behind the last change"):
        register.resume("AG-1")


def test_in_a_rehearsal_nothing_reaches_the_register_itself(register):
    put_in_force(register, agreement())
    register.add_draft(agreement(version=2), "second", DORA)
    before = register.snapshot(), register.history()
    copy = rehearsal_of(register)
    assert copy.snapshot() == register.snapshot() and copy.document("AG-1", 2) == "second"
    copy.move("AG-1", 2, Action.WITHDRAW, DORA, comment="no")
    copy.suspend("AG-1", reason="flood")
    assert (register.snapshot(), register.history()) == before


# What a key is for

def test_a_key_carries_its_application_purpose_and_origins(register):
    key, _ = register.issue_key(
        "water", app="flood", purpose="flood-control", networks=frozenset({"10.0.0.0/8", "2001:db8::/32"}),
        referers=frozenset({"https://maps.example.gov"}), origins=frozenset({"https://maps.example.gov:8443"}), actor=OTIS,
    )
    assert register.snapshot().keys[key.digest] == key
    assert (register.history()[-1].action, register.history()[-1].actor) == ("issue-key", "otis")


@pytest.mark.parametrize("wrong", [
    {"networks": frozenset({"10.0.0.1/8"})}, {"networks": frozenset({"everywhere"})}, {"origins": frozenset({"https://maps.example.gov/path"})},
    {"referers": frozenset({"maps.example.gov"})},
])
def test_networks_and_origins_of_a_key_are_what_they_should_be(register, wrong):
    with pytest.raises(ValueError, match="give "):
        register.issue_key("water", **wrong)


# Seals

def test_the_chain_begins_at_nothing_and_each_seal_is_over_the_one_before(register):
    put_in_force(register, agreement())
    seal = FIRST_SEAL
    for event in register.history():
        assert sealed(seal, event) == event
        seal = event.seal
    assert not list(broken_seals(register.history()))


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_an_event_that_is_altered_dropped_or_moved_breaks_the_chain(data):
    register = peopled(InMemoryRegister(Clock()))
    put_in_force(register, agreement())
    events = list(register.history())
    place = data.draw(st.integers(0, len(events) - 2))
    match data.draw(st.sampled_from(["altered", "dropped", "moved"])):
        case "altered":
            changes = {"actor": "nobody", "comment": "other", "action": "approve!", "at": NOON + timedelta(microseconds=1), "epoch": 99,
                       "digest": "0" * 64, "detail": {"party": "other"}, "version": 9, "state": State.ARCHIVED, "document_hash": "f" * 64}
            name = data.draw(st.sampled_from(sorted(changes)))
            events[place] = replace(events[place], **{name: changes[name]})
        case "dropped":
            del events[place]
        case "moved":
            events[place], events[place + 1] = events[place + 1], events[place]
    assert list(broken_seals(events))


# By hand

@pytest.fixture(params=["sqlite", "postgresql"])
def database(request):
    return request.getfixturevalue(f"{request.param}_database")


EDITS = {
    "a state": "update agreements set state = 'active' where state = 'terminated'",
    "a document": "update agreements set document = 'other'",
    "an end that is later": "update agreements set compiled = replace(cast(compiled as text), '2028-12-31T16', '2088-12-31T16')",
    "who may see it": "update agreements set grantee = 'police'",
    "a version that nobody registered": "insert into agreements select agreement_id, 7, state, grantor, grantee, document, compiled, registered from agreements",
    "a version that is gone": "delete from agreements",
    "a suspension that is gone": "delete from suspensions",
    "a suspension that was lifted": "update suspensions set lifted = since",
    "a key that nobody issued": """insert into agency_keys (key_id, agency_id, digest, label, issued)
        select 'k_0', agency_id, 'ff', label, issued from agency_keys""",
    "a key of another agency": "update agency_keys set agency_id = 'police'",
    "a key that came back": "update agency_keys set revoked = null",
    "a key for another purpose": "update agency_keys set purpose = 'other'",
    "an agency that is switched on again": "update agencies set is_active = true where agency_id = 'contractor'",
    "an event that is gone": "delete from register_events where number = 4",
    "the last event that is gone": "delete from register_events where number = (select max(number) from register_events)",
    "an event of another person": "update register_events set actor = 'nobody' where number = 5",
    "the epoch": "update register_epoch set epoch = 99",
}


def lived_in(engine):
    register = peopled(SqlRegister(engine, Clock()))
    register.add_agency(replace(CONTRACTOR, is_active=False))
    put_in_force(register, agreement())
    register.suspend("AG-1", reason="flood")
    key, _ = register.issue_key("water", purpose="flood")
    register.revoke_key(key.key_id)
    register.move("AG-1", 1, Action.TERMINATE, OTIS, comment="over")
    register.add_agency(replace(POLICE, name_en="Police"))
    return register


@pytest.mark.parametrize("edit", EDITS)
def test_any_edit_by_hand_is_found_when_the_register_is_read(database, edit):
    engine = database()
    register = lived_in(engine)
    assert register.faults() == () and SqlRegister(database()).snapshot() == register.snapshot()
    statement = EDITS[edit]
    if edit == "an end that is later" and engine.dialect.name == "postgresql":
        statement += "::json"
    with engine.begin() as connection:
        assert connection.exec_driver_sql(statement).rowcount > 0
    with pytest.raises(RegisterUnavailable, match="can't be read: .*put the database back from the last backup"):
        SqlRegister(database()).snapshot()
    with pytest.raises(RegisterUnavailable):
        SqlRegister(database()).add_agency(WATER)
    assert SqlRegister(database()).faults()


def test_a_worker_that_runs_notices_when_the_history_is_written_anew(database):
    engine = database()
    running = lived_in(engine)
    running.snapshot()
    with engine.begin() as connection:
        for table in ("register_events", "agreements", "suspensions", "agency_keys", "agencies", "register_epoch"):
            connection.exec_driver_sql(f"delete from {table}")
    other = SqlRegister(database(), Clock())
    for _ in range(20):
        other.add_agency(replace(WATER, name_en="another history"))
    assert SqlRegister(database()).snapshot().agencies                      # sound in itself
    with pytest.raises(RegisterUnavailable, match="the history was written anew under a running service"):
        running.snapshot()


def test_what_the_service_itself_writes_never_looks_like_an_edit(database):
    one, other = SqlRegister(database(), Clock()), SqlRegister(database(), Clock())
    peopled(one)
    put_in_force(other, agreement())
    one.suspend("AG-1", reason="flood")
    other.resume("AG-1")
    put_in_force(one, agreement(version=2, title="与省水利厅", grants=(grant(degrade=25.0, rows="WIDTH > 3"),)))
    assert one.snapshot() == other.snapshot() == SqlRegister(database()).snapshot()
    assert one.faults() == ()
