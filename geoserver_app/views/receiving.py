"""Files that come by PUT, as they are: who sends them, and straight to the disk with their digest. What they are is looked at later, in a program of its own."""

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import flask

from agreements.life.lifecycle import Role
from geoserver_app.api.door import agency_by_key, signed_in_person, visit_of
from geoserver_app.api.faults import NotAllowed, NotSignedIn
from geoserver_app.api.operation import Visit
from geoserver_app.people.accounts import Proof
from geoserver_app.people.sessions import FORM_HEADER, check_form, check_origin

BLOCK = 1 << 20


class TooLarge(Exception):
    """More than is taken."""


class CutShort(Exception):
    """It broke off: `got` of `wanted` bytes came."""

    def __init__(self, got: int, wanted: int):
        super().__init__(f"{got} of {wanted}")
        self.got, self.wanted = got, wanted


def sender(operation: str, language: str) -> Visit:
    """An agency by its key, or a member of it: with his token, or from a page of ours with the token of its forms.

    Raises
    ------
    NotSignedIn, NotAllowed, Unidentified, TooManyGuesses
    """
    caller = agency_by_key(operation)
    if caller is not None:
        return visit_of(None, language, caller=caller)
    found = signed_in_person()
    if found is None:
        raise NotSignedIn
    if found.person.must_change:
        raise NotAllowed("password-must-change")
    if Role.MEMBER not in found.person.roles:
        raise NotAllowed("role-missing", {"roles": Role.MEMBER})
    if found.proof is not Proof.TOKEN:
        check_origin()
        check_form(found.csrf, flask.request.headers.get(FORM_HEADER, ""))
    return visit_of(found, language)


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A body that came whole, under a name of its own until somebody takes it."""

    path: Path
    size: int
    sha256: str


@contextmanager
def received(folder: Path, megabytes: int) -> Iterator[Received]:
    """The body of the request, for as long as it takes to give it its name: deleted after that, where it has none.

    Raises
    ------
    TooLarge, CutShort
    """
    request, most = flask.request, megabytes * 2**20
    if (request.content_length or 0) > most:
        raise TooLarge
    request.max_content_length = most
    folder.mkdir(parents=True, exist_ok=True)
    part, got, digest = folder / f"{secrets.token_hex(8)}.part", 0, hashlib.sha256()
    try:
        with part.open("wb") as file:
            while got <= most and (block := request.stream.read(BLOCK)):
                got += len(block)
                digest.update(block)
                file.write(block)
        if got > most:
            raise TooLarge
        if got == 0 or (request.content_length is not None and got != request.content_length):
            raise CutShort(got, request.content_length or 0)
        yield Received(path=part, size=got, sha256=digest.hexdigest())
    finally:
        part.unlink(missing_ok=True)
