"""`geoshare agreement draft | edit | submit | ... | archive`: an agreement from its draft to the archive, by people; and what is told of it."""

import json
from datetime import datetime
from pathlib import Path

import click

from agreements.compare.difference import Turn
from agreements.life.lifecycle import Action, Actor, Signature
from agreements.register import SqlRegister
from geoserver_app.cli.acting import acting, as_option, stdin_option
from geoserver_app.cli.agreements import agreement, warn_of
from geoserver_app.cli.base import FAILED, InputInvalid, counted, json_option, noted, opened, table, tell
from geoserver_app.settings import Settings

which = click.argument("agreement_id")
version_option = click.option("--version", type=click.IntRange(1), help="Which version; the newest unless one is named.")
document = click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
comment_option = click.option("--comment", default="", help="A remark for the history.")
reason_option = click.option("--reason", "comment", required=True, help="Why; it stays in the history.")


# Drafts

@agreement.command("draft")
@document
@as_option
@stdin_option
@click.pass_obj
def agreement_draft(settings: Settings, path, login, from_stdin):
    """Begin an agreement as a draft, or with the next version an amendment of one."""
    catalogue, register = opened(settings)
    draft, text = _read(catalogue, path)
    actor = acting(settings, login, from_stdin)
    event = register.add_draft(draft, text, actor)
    _told(settings, register, event, actor)


@agreement.command("edit")
@document
@click.option("--replacing", help="Hash of the text that you saw (`geoshare agreement show`); default the present one.")
@as_option
@stdin_option
@click.pass_obj
def agreement_edit(settings: Settings, path, replacing, login, from_stdin):
    """Give a draft another text."""
    catalogue, register = opened(settings)
    draft, text = _read(catalogue, path)
    actor = acting(settings, login, from_stdin)
    seen = replacing or register.document_hash(draft.agreement_id, draft.version)
    _told(settings, register, register.replace_draft(draft, text, actor, replacing=seen), actor)


def _read(catalogue, path: Path):
    from geoserver_app.registering import missing_layers, read_agreements

    read = read_agreements(catalogue, [path])
    warn_of(missing_layers(catalogue, read))
    return read[0]


# Moves

def _moving(name: str, action: Action, says: str, *, reason: bool = False) -> None:
    """Add the command of a move that needs no more than who, and why."""
    @agreement.command(name, help=says)
    @which
    @version_option
    @(reason_option if reason else comment_option)
    @as_option
    @stdin_option
    @click.pass_obj
    def move(settings: Settings, agreement_id, version, comment, login, from_stdin):
        _move(settings, agreement_id, version, action, comment, login, from_stdin)


_moving("submit", Action.SUBMIT, "Submit a draft for its conformity check and an answer.")
_moving("conform", Action.CHECK, "Note that a submitted version conforms. Not by who wrote it.")
_moving("request-changes", Action.REQUEST_CHANGES, "Send a version back to its drafters.", reason=True)
_moving("approve", Action.APPROVE, "Approve a submitted version. Not by who wrote it.")
_moving("refuse", Action.REFUSE, "Refuse a submitted version for good.", reason=True)
_moving("ratify", Action.RATIFY, "Say that an emergency was rightly put in force. Not by who did.")
_moving("terminate", Action.TERMINATE, "End an agreement now: everywhere within two seconds.", reason=True)
_moving("archive", Action.ARCHIVE, "Put away what has ended.")
_moving("withdraw", Action.WITHDRAW, "Give up a version that is not in force yet.", reason=True)


@agreement.command("sign")
@which
@version_option
@click.option("--party", required=True, help="Agency whose signature it is, or `bureau`.")
@click.option("--signatory", required=True, help="Who signed the paper.")
@click.option("--duty", default="", help="In which office.")
@click.option("--date", "day", required=True, type=click.DateTime(["%Y-%m-%d"]), help="Day on the paper.")
@click.option("--document", "paper", required=True, help="Hash that the paper bears.")
@comment_option
@as_option
@stdin_option
@click.pass_obj
def agreement_sign(settings: Settings, agreement_id, version, party, signatory, duty, day: datetime, paper, comment, login, from_stdin):
    """Note the signature of a party on the paper; with both the agreement is signed."""
    signature = Signature(party=party, signatory=signatory, date=f"{day:%Y-%m-%d}", document=paper, duty=duty)
    _move(settings, agreement_id, version, Action.SIGN, comment, login, from_stdin, signature.as_detail())


@agreement.command("activate")
@which
@version_option
@click.option("--emergency", is_flag=True, help="Without approval and signature, for some hours; another person ratifies it afterwards.")
@comment_option
@as_option
@stdin_option
@click.pass_obj
def agreement_activate(settings: Settings, agreement_id, version, emergency, comment, login, from_stdin):
    """Put a signed version in force: everywhere within two seconds. Not by who approved it."""
    _move(settings, agreement_id, version, Action.ACTIVATE_EMERGENCY if emergency else Action.ACTIVATE, comment, login, from_stdin)


@agreement.command("certify-destruction")
@which
@version_option
@click.option("--of", "contractor", default="", help="The contractor whose certificate it is; default the agency's own.")
@reason_option
@as_option
@stdin_option
@click.pass_obj
def agreement_certify(settings: Settings, agreement_id, version, contractor, comment, login, from_stdin):
    """Note that the certificate came in that the data were destroyed; the reason names it."""
    _move(settings, agreement_id, version, Action.CERTIFY, comment, login, from_stdin, {"of": contractor})


def _move(settings: Settings, agreement_id: str, version: int | None, action: Action, comment: str, login: str, from_stdin: bool, detail=None) -> None:
    _, register = opened(settings)
    version = version or register.case(agreement_id).agreement.version
    actor = acting(settings, login, from_stdin)
    _told(settings, register, register.move(agreement_id, version, action, actor, comment=comment, detail=detail), actor)


def _told(settings: Settings, register: SqlRegister, event, actor: Actor) -> None:
    """What was done, on record; and what comes next."""
    noted(settings, f"agreements.{event.action}", f"{event.agreement_id}/{event.version}", actor.login)
    case = register.case(event.agreement_id, event.version)
    click.echo(f"{event.agreement_id} version {event.version}: {event.action} by {event.actor}, now {case.state.value}")
    if event.action in (Action.DRAFT, Action.AMEND, Action.EDIT, Action.APPROVE):
        tell(f"the signed text bears the hash {event.document_hash}")


# Reading

@agreement.command("show")
@which
@version_option
@json_option
@click.pass_obj
def agreement_show(settings: Settings, agreement_id, version, as_json):
    """How a version stands: state, parties, term, hash, and what waits to be done."""
    from geoserver_app.clock import now
    from geoserver_app.describe import standing_of
    from geoserver_app.tasks import waiting

    catalogue, register = opened(settings)
    case = register.case(agreement_id, version)
    one, at = case.agreement, now()
    state, stopped = standing_of(one, at)
    shown = {
        "agreement": one.agreement_id, "version": one.version, "title": one.title, "state": case.state.value, "stands": state, "suspended": stopped,
        "grantor": one.grantor, "grantee": one.grantee, "from": one.term.start, "until": one.term.end, "parent": one.parent,
        "emergency": one.is_emergency, "grants": len(one.grants), "hash": register.document_hash(one.agreement_id, one.version),
        "waits": [f"{task.en}{_until(task)}" for task in waiting(office_of(settings, catalogue, register), at)
                  if (task.agreement_id, task.version) == (one.agreement_id, one.version)],
    }
    if as_json:
        click.echo(json.dumps(shown, ensure_ascii=False, default=str))
        return
    table(["", ""], [[name, "\n".join(value) if isinstance(value, list) else value] for name, value in shown.items()], False)


@agreement.command("history")
@which
@json_option
@click.pass_obj
def agreement_history(settings: Settings, agreement_id, as_json):
    """All that was done with an agreement: when, by whom, and why."""
    _, register = opened(settings)
    rows = [
        [one.number, one.at, one.version, one.action, one.actor, one.state and one.state.value, one.comment, json.dumps(dict(one.detail), ensure_ascii=False)]
        for one in register.history(agreement_id)
    ]
    table(["event", "at", "version", "action", "by", "state", "comment", "detail"], rows, as_json)


@agreement.command("diff")
@which
@click.option("--from", "before", type=click.IntRange(1), help="Version; the one before unless given.")
@click.option("--to", "after", type=click.IntRange(1), help="Version; the newest unless given.")
@click.option("--document", "path", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A document that is not registered, instead of --to.")
@click.option("--language", type=click.Choice(["zh", "en"]), default="en", show_default=True)
@json_option
@click.pass_obj
def agreement_diff(settings: Settings, agreement_id, before, after, path, language, as_json):
    """What a version, or a document, lets the agency see more (+) and less (-) than the version before it: not what the texts say."""
    from agreements.compare.difference_words import sentences
    from geoserver_app.comparing import compare

    catalogue, register = opened(settings)
    versions = [one for one in register.list() if one.agreement_id == agreement_id]
    new = _read(catalogue, path)[0] if path else register.case(agreement_id, after).agreement
    if new.agreement_id != agreement_id:
        raise InputInvalid(f"`{path.name}` is of agreement `{new.agreement_id}`, not of `{agreement_id}`")
    earlier = [one for one in versions if one.version < new.version] or ([] if path is None else versions)
    old = register.case(agreement_id, before).agreement if before else next(reversed(earlier), None)
    found = compare(register, catalogue, old, new)
    lines = sentences(found, language)
    if as_json:
        told = {
            "agreement": agreement_id, "from": old and old.version, "to": new.version, "gained_km2": found.gained.km2, "lost_km2": found.lost.km2,
            "unchanged_km2": found.unchanged.km2, "lines": [{"turn": line.turn.value, "sentence": line.text} for line in lines],
        }
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    for line in lines:
        click.echo(f"{SIGNS[line.turn]} {line.text}")
    tell(f"ground: {found.gained.km2:.3f} km2 gained, {found.lost.km2:.3f} km2 lost, {found.unchanged.km2:.3f} km2 as before")


SIGNS = {Turn.GAINED: "+", Turn.LOST: "-", Turn.CHANGED: "~"}


@agreement.command("verify-history")
@click.pass_obj
def agreement_verify_history(settings: Settings):
    """Hold every row of the register against its history, and every event against the one before it. Exit code 1 where something was altered."""
    _, register = opened(settings)
    faults = register.faults()
    for fault in faults:
        click.echo(fault)
    if faults:
        tell("the register was altered by hand: put the database back from the last backup", style="red")
        raise click.exceptions.Exit(FAILED)
    events = register.history()
    click.echo(f"{counted(len(events), 'event')}, unbroken" + (f"; the last is {events[-1].number}, sealed {events[-1].seal}" if events else ""))


def office_of(settings: Settings, catalogue, register: SqlRegister):
    """What tasks are read from."""
    from geoserver_app.contributions import ContributionBook
    from geoserver_app.database import connect
    from geoserver_app.decision_log import DecisionLog
    from geoserver_app.tasks import Office

    book = ContributionBook(connect(settings.database_url), register, DecisionLog(settings.decisions))
    return Office(register=register, catalogue=catalogue, book=book, config=settings.config)


def _until(task) -> str:
    return f" (until {task.due:%Y-%m-%d %H:%M})" if task.due else ""
