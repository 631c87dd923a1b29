"""What every page of the console is made with: a route for people of some roles, the frame around what is shown, the API's operations behind it.

Nothing is decided here. What a page shows it asks the functions of the API for, so that it shows what they would tell the same person; what it
changes goes through the API's door. A page that is not somebody's to see is answered like one that does not exist.
"""

import functools
import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import ClassVar, TypeVar
from urllib.parse import urlencode

import flask
from pydantic import BaseModel

from agreements.life.lifecycle import Role
from geoserver_app.api.door import as_fault, perform, visit_of
from geoserver_app.api.faults import ApiFault, NotAllowed, NothingThere
from geoserver_app.api.operation import EVERYBODY, OPERATIONS, STAFF, Answer, Visit
from geoserver_app.api.reading import read_body, read_query
from geoserver_app.clock import SHANGHAI
from geoserver_app.console.wording import ROLES, done_sentence, worded
from geoserver_app.errors import Told, contact, told
from geoserver_app.messages import CHINESE, ENGLISH, LANGUAGES, language_of
from geoserver_app.people.accounts import AccountsUnavailable, Person
from geoserver_app.review.words import STATES
from geoserver_app.routes import governed
from geoserver_app.views import session

bp = flask.Blueprint("console", __name__, url_prefix="/console")

LARGEST = 4 << 20
"""Bytes of a form: there may be a document with drawn shapes in it."""

NAVIGATION: tuple[tuple[str, tuple[str, str], frozenset[Role]], ...] = (
    ("overview", ("总览", "Overview"), EVERYBODY),
    ("agreements", ("协议", "Agreements"), EVERYBODY),
    ("contributions", ("回馈", "Contributions"), EVERYBODY),
    ("access_requests", ("申请", "Requests"), STAFF),
    ("tickets", ("纠错", "Corrections"), STAFF),
    ("data", ("数据", "Data"), STAFF),
    ("explain", ("解释", "Explain"), EVERYBODY),
    ("audit", ("审计", "Audit"), OPERATIONS["audit.records"].roles),
    ("review", ("评审", "Review"), STAFF),
    ("boundaries", ("界线", "Boundaries"), STAFF),
    ("agencies", ("单位与密钥", "Agencies and keys"), EVERYBODY),
    ("people", ("人员", "People"), OPERATIONS["people.list"].roles),
)
"""Endpoint, title in Chinese and English, and whose it is: the first page of every part."""

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Frame:
    """Who looks at a page, and in which language."""

    visit: Visit

    folder: ClassVar[str] = "console"    # of its templates

    @property
    def language(self) -> str:
        return self.visit.language

    @property
    def person(self) -> Person:
        return self.visit.person

    @property
    def at(self) -> datetime:
        return self.visit.at

    def say(self, chinese: str, english: str) -> str:
        return chinese if self.language == CHINESE else english

    # -- the API's operations

    def may(self, name: str) -> bool:
        """Whether somebody of these roles may ask for the operation at all."""
        return bool(self.person.roles & OPERATIONS[name].roles)

    def ask(self, name: str, **sent):
        """What an operation that changes nothing answers. Raises as it does."""
        if not self.may(name):
            raise NotAllowed("role-missing", {"roles": ", ".join(sorted(OPERATIONS[name].roles))})
        answer = OPERATIONS[name].function(self.visit, **sent)
        return answer.content if isinstance(answer, Answer) else answer

    def act(self, name: str, places: Mapping[str, str] | None = None, **sent) -> Answer:
        """Have something done: with its own record, as if the API had been asked. Raises as the API tells it."""
        return perform(name, self.visit, places or {}, **sent)

    def problem(self, error: Exception) -> Told:
        return told(as_fault(error, None, self.language), self.language, contact(self.language))

    # -- what is answered

    def shown(self, template: str, *, problem: Told | None = None, status: int = 200, **content) -> flask.Response:
        page = flask.render_template(f"{self.folder}/{template}", problem=problem, **self.around(self.language, self), **content)
        response = flask.make_response(page, problem.status if problem else status)
        response.headers["Content-Language"] = self.language
        return response

    @classmethod
    def around(cls, language: str, frame: "Frame | None") -> dict:
        """What every template has at hand."""
        return _surroundings(language, frame)

    def on(self, endpoint: str, done: str = "", **places) -> flask.Response:
        """To a page, after something was done: `done` names the sentence that says so there."""
        return flask.redirect(address(endpoint, **places, **({"done": done} if done else {})), 303)


View = Callable[..., flask.Response]


def page(
    operation: str, *rules: str, roles: frozenset[Role] = EVERYBODY, takes_forms: bool = False, house: flask.Blueprint = bp, kind: type[Frame] = Frame,
) -> Callable[[View], View]:
    """Declares a page at `rules` below /console for people of `roles`; the view, whose name is its endpoint, is called with the Frame and its places.

    `operation` names it in the record. Another `house` has its own address, and a `kind` of Frame of its own.
    """

    def declare(view: View) -> View:
        def entered(signed_in, **places) -> flask.Response:
            return view(kind(visit_of(signed_in, language_of(flask.request.environ))), **places)

        guarded = session.page(operation, roles)(entered)

        @governed(operation)
        @functools.wraps(view)
        def answered(**places) -> flask.Response:
            flask.request.max_content_length = flask.request.max_form_memory_size = LARGEST
            try:
                return guarded(**places)
            except Exception as error:
                return _told(error, kind)

        for rule in rules:
            house.add_url_rule(rule, endpoint=view.__name__, view_func=answered, methods=["GET", "POST"] if takes_forms else ["GET"])
        return view

    return declare


def tried(frame: Frame, doings: Mapping[str, Callable[[], flask.Response]]) -> tuple[flask.Response | None, Told | None]:
    """What came of the form that was posted, by its field `do`: the answer, or what is wrong with what it holds. Neither, where none was."""
    if flask.request.method != "POST":
        return None, None
    doing = doings.get(flask.request.form.get("do", ""))
    if doing is None:
        raise NothingThere("form")
    try:
        return doing(), None
    except NothingThere:
        raise
    except Exception as error:
        fault = as_fault(error, None, frame.language)
        if not isinstance(fault, ApiFault):
            raise
        return None, frame.problem(fault)


def sent(model: type[Model], **values) -> Model:
    """What a form sent, as the API would read it: a field that was left empty was not given. Raises InputFaulty."""
    return read_body(model, json.dumps({name: value for name, value in values.items() if value not in ("", None, [])}).encode())


def asked(model: type[Model], *names: str) -> Model:
    """The same of the query of the address; `names` are the fields that may be asked for, or all of the model's. Raises InputFaulty."""
    wanted = names or tuple(model.model_fields)
    return read_query(model, [(name, value) for name, value in flask.request.args.items() if name in wanted and value])


def moment_sent(text: str) -> str:
    """What a field of day and time sent: it is of Asia/Shanghai.

    >>> moment_sent("2026-12-31T18:00"), moment_sent("")
    ('2026-12-31T18:00+08:00', '')
    """
    return f"{text}+08:00" if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?", text) else text


def field(name: str) -> str:
    return flask.request.form.get(name, "").strip()


def fields(name: str) -> list[str]:
    return [value for value in flask.request.form.getlist(name) if value]


# -- around a page

def address(endpoint: str, **places) -> str:
    """Of a page of ours, in the language that the visitor chose, where he did."""
    chosen = flask.request.args.get("lang")
    return flask.url_for(f"console.{endpoint}", **places, **({"lang": chosen} if chosen in LANGUAGES else {}))


def _surroundings(language: str, frame: Frame | None) -> dict:
    """What every template has at hand."""
    roles = frame.person.roles if frame else frozenset()
    return {
        "language": language, "say": lambda chinese, english: chinese if language == CHINESE else english, "to": address, "frame": frame,
        "person": frame.person if frame else None, "csrf": frame.visit.signed_in.csrf if frame else "",
        "navigation": [(endpoint, title[LANGUAGES.index(language)]) for endpoint, title, whose in NAVIGATION if roles & whose],
        "other_language": _in_other_language(language), "done": done_sentence(flask.request.args.get("done", ""), language),
        "day": day, "moment": moment, "last_day": last_day, "state_name": lambda state: worded(STATES, state, language),
        "role_name": lambda role: worded(ROLES, role, language),
    }


def _in_other_language(language: str) -> str:
    """The address of this very page in the other language."""
    query = {**flask.request.args.to_dict(), "lang": ENGLISH if language == CHINESE else CHINESE}
    query.pop("done", None)
    return f"?{urlencode(query)}"


def day(value: date | datetime | None) -> str:
    if isinstance(value, datetime):
        value = value.astimezone(SHANGHAI).date()
    return value.isoformat() if value else ""


def last_day(end: datetime | None) -> str:
    """Of something that ends before `end`."""
    return day(end - timedelta(microseconds=1)) if end else ""


def moment(value: datetime | None) -> str:
    return f"{value.astimezone(SHANGHAI):%Y-%m-%d %H:%M}" if value else ""


def _told(error: Exception, kind: type[Frame]) -> flask.Response:
    """A fault as a page. What is not somebody's to see and what is not there are one."""
    language, frame = language_of(flask.request.environ), None
    with suppress(AccountsUnavailable):
        found = session.signed_in()
        frame = kind(visit_of(found, language)) if found else None
    if isinstance(error, NotAllowed) and error.slug == "role-missing":
        error = NothingThere("")
    words = told(as_fault(error, None, language), language, contact(language))
    page = flask.render_template("console/fault.html", words=words, is_nothing=words.status == 404, **kind.around(language, frame))
    response = flask.make_response(page, words.status)
    response.headers.update(words.headers)
    response.headers["Content-Language"] = language
    return session.as_page(response)
