"""People: who they are, how they prove it, what they may do.

Somebody of the bureau has one or more of the roles administrator, approver, auditor and data manager; somebody of an agency is its member, and
sees what is that agency's alone. Nobody is both. A person proves who he is by a password (Argon2id), which opens a session, or by a token of
his own for scripts. Of sessions and tokens digests are kept; both are looked up in the database at every request, so that what is ended
there is ended in every worker at once.
"""

import base64
import hashlib
import hmac
import re
import secrets
import threading
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy.exc import SQLAlchemyError

from agreements.life.lifecycle import Role
from agreements.model import BUREAU
from agreements.register import agencies_table
from geoserver_app.clock import now
from geoserver_app.database import from_database, utc, writing
from geoserver_app.people.guessing import Guesses

LOGIN = re.compile(r"[a-z][a-z0-9._-]{1,62}")
LEAST_PASSWORD, MOST_PASSWORD = 12, 256
"""Characters. No rules on their kinds: length is what counts (NIST SP 800-63B)."""

TOKEN_PREFIX = "gsu_"
LONGEST_TOKEN = timedelta(days=366)

SEEN_EVERY = timedelta(minutes=1)
AT_ONCE = 2
"""Passwords that a worker hashes at once: each takes 64 MiB."""


BUREAU_ROLES = frozenset({Role.ADMINISTRATOR, Role.APPROVER, Role.AUDITOR, Role.DATA_MANAGER})
"""Administrators see to people, agencies, keys and agreements; approvers approve what somebody else submitted; auditors read everything and
change nothing; data managers see to layers, areas and contributions. An agency's person is a member."""

PEOPLES_ROLES = BUREAU_ROLES | {Role.MEMBER}


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    login: str
    name: str
    roles: frozenset[Role]
    agency: str = BUREAU
    is_active: bool = True
    must_change: bool = False            # the password, before anything else
    created: datetime | None = None

    @property
    def is_member(self) -> bool:
        """Of an agency: sees nothing that is not its own."""
        return Role.MEMBER in self.roles


class Proof(StrEnum):
    """How somebody proved who he is."""

    SESSION = "session"
    TOKEN = "token"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A person, and by which proof. `proof_id` is safe to log; `csrf` goes with every change that a page of ours asks for."""

    person: Person
    proof: Proof
    proof_id: str
    csrf: str = ""
    ends: datetime | None = None

    def __repr__(self) -> str:
        return f"SignedIn({self.person.login}, {self.proof} {self.proof_id})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A person's credential for scripts; the secret itself is kept nowhere."""

    token_id: str
    login: str
    label: str
    roles: frozenset[Role]
    issued: datetime
    expires: datetime
    revoked: datetime | None = None


class AccountsError(Exception):
    """Anything that is refused here. `code` names the sentence that tells it, `field` what was wrong of what was given."""

    def __init__(self, code: str, detail: Mapping[str, str] | None = None, field: str = ""):
        super().__init__(code)
        self.code, self.detail, self.field = code, dict(detail or {}), field


class AccountInvalid(AccountsError):
    """What was given can't be an account."""


class PersonNotDefined(AccountsError):
    def __init__(self, login: str):
        super().__init__("person-not-defined", {"login": login[:80]})


class TokenNotDefined(AccountsError):
    def __init__(self, token_id: str):
        super().__init__("token-not-defined", {"token": token_id[:80]})


class SignInRefused(AccountsError):
    """Login unknown, password wrong, or account closed: nobody is told which."""

    def __init__(self):
        super().__init__("sign-in-refused")


class AccountsUnavailable(Exception):
    """People can't be looked up now: nobody is believed."""


metadata = sa.MetaData()

people_table = sa.Table(
    "people", metadata,
    sa.Column("login", sa.String(63), primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("agency_id", sa.String(63), nullable=False, index=True),
    sa.Column("roles", sa.JSON, nullable=False),
    sa.Column("password", sa.Text, nullable=False),
    sa.Column("is_active", sa.Boolean, nullable=False),
    sa.Column("must_change", sa.Boolean, nullable=False),
    sa.Column("created", sa.DateTime(timezone=True), nullable=False),
)

sessions_table = sa.Table(
    "sessions", metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("login", sa.String(63), sa.ForeignKey("people.login", name="fk_sessions_person"), nullable=False, index=True),
    sa.Column("opened", sa.DateTime(timezone=True), nullable=False),
    sa.Column("seen", sa.DateTime(timezone=True), nullable=False),
    sa.Column("ends", sa.DateTime(timezone=True), nullable=False),
)

tokens_table = sa.Table(
    "person_tokens", metadata,
    sa.Column("token_id", sa.String(20), primary_key=True),
    sa.Column("login", sa.String(63), sa.ForeignKey("people.login", name="fk_person_tokens_person"), nullable=False, index=True),
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("roles", sa.JSON, nullable=False),
    sa.Column("issued", sa.DateTime(timezone=True), nullable=False),
    sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
    sa.Column("revoked", sa.DateTime(timezone=True)),
)


# Rules

def check_login(login: str) -> str:
    """Raises AccountInvalid."""
    if not LOGIN.fullmatch(login):
        raise AccountInvalid("login-spelling", {"login": login[:80]}, "login")
    return login


def check_roles(roles: Iterable[Role], agency: str) -> frozenset[Role]:
    """Raises AccountInvalid for a mixture of the bureau's side and an agency's."""
    roles = frozenset(roles)
    if not roles:
        raise AccountInvalid("roles-none", field="roles")
    if not (roles <= BUREAU_ROLES if agency == BUREAU else roles == {Role.MEMBER}):
        raise AccountInvalid("roles-mixed", {"agency": agency[:80]}, "roles")
    return roles


def check_password(password: str, login: str) -> str:
    """The password as it is hashed, in one Unicode form whatever the keyboard. Raises AccountInvalid."""
    password = _normal(password)
    if not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD:
        raise AccountInvalid("password-length", {"least": str(LEAST_PASSWORD), "most": str(MOST_PASSWORD)}, "password")
    if len(password.lower().replace(login, "")) < LEAST_PASSWORD:
        raise AccountInvalid("password-login", field="password")
    if len(set(password)) < 5:
        raise AccountInvalid("password-monotonous", field="password")
    return password


# In the database

class Accounts:
    """People, sessions and tokens in a database that somebody else made and migrated.

    Whatever goes wrong while reading or writing it is AccountsUnavailable.
    """

    def __init__(
        self, engine: sa.Engine, secret: bytes, clock: Callable[[], datetime] = now, *, hasher: PasswordHasher | None = None,
        idle: timedelta = timedelta(minutes=30), longest: timedelta = timedelta(hours=12),
    ):
        self._engine, self._clock, self._hasher = engine, clock, hasher or PasswordHasher()
        self.idle, self.longest = idle, longest
        self.guesses = Guesses(engine, secret, clock)
        self._hashing = threading.BoundedSemaphore(AT_ONCE)

    @property
    def clock(self) -> Callable[[], datetime]:
        return self._clock

    @clock.setter
    def clock(self, clock: Callable[[], datetime]) -> None:
        self._clock = self.guesses.clock = clock

    # -- people

    def people(self) -> tuple[Person, ...]:
        """By login."""
        with self._reading() as connection:
            return tuple(_person(row) for row in connection.execute(sa.select(people_table).order_by(people_table.c.login)))

    def person(self, login: str) -> Person:
        """Raises PersonNotDefined."""
        with self._reading() as connection:
            return _person(_row_of(connection, login))

    def add(self, person: Person, password: str) -> Person:
        """A new account.

        Raises
        ------
        AccountInvalid
            Its login is taken or misspelt, its roles don't go together, its agency is not registered, or the password is too weak.
        """
        check_login(person.login)
        check_roles(person.roles, person.agency)
        hashed = self._hashed(check_password(password, person.login))
        person = replace(person, created=self._clock())
        with self._writing() as connection:
            if connection.execute(sa.select(people_table.c.login).where(people_table.c.login == person.login)).first() is not None:
                raise AccountInvalid("login-taken", {"login": person.login}, "login")
            _check_agency(connection, person.agency)
            connection.execute(sa.insert(people_table).values(
                login=person.login, name=person.name, agency_id=person.agency, roles=sorted(person.roles), password=hashed,
                is_active=person.is_active, must_change=person.must_change, created=utc(person.created),
            ))
        return person

    def change(self, login: str, *, name: str | None = None, roles: Iterable[Role] | None = None, is_active: bool | None = None) -> Person:
        """Other name or roles, or closed, or opened again. Whoever is closed or loses a role is signed out everywhere.

        Raises
        ------
        PersonNotDefined
        AccountInvalid
            The roles don't go together, or nobody would be left to administer.
        """
        with self._writing() as connection:
            before = _person(_row_of(connection, login))
            after = replace(
                before, name=before.name if name is None else name, is_active=before.is_active if is_active is None else is_active,
                roles=before.roles if roles is None else check_roles(roles, before.agency),
            )
            row = people_table.c.login == login
            connection.execute(sa.update(people_table).where(row).values(name=after.name, roles=sorted(after.roles), is_active=after.is_active))
            if _administers(before) and not any(_administers(_person(one)) for one in connection.execute(sa.select(people_table))):
                raise AccountInvalid("last-administrator", {"login": login})
            if not after.is_active or before.roles - after.roles:
                self._sign_out(connection, login, tokens=not after.is_active)
        return after

    def set_password(self, login: str, password: str, *, must_change: bool = False) -> None:
        """Another password. Signs the person out everywhere; with `must_change`, as somebody else set it, his tokens end too.

        Raises PersonNotDefined, AccountInvalid.
        """
        hashed = self._hashed(check_password(password, login))
        with self._writing() as connection:
            _row_of(connection, login)
            row = people_table.c.login == login
            connection.execute(sa.update(people_table).where(row).values(password=hashed, must_change=must_change))
            self._sign_out(connection, login, tokens=must_change)

    # -- passwords

    def sign_in(self, login: str, password: str, address: str) -> tuple[str, SignedIn]:
        """A new session and its token, for whoever knows login and password.

        Raises
        ------
        TooManyGuesses, SignInRefused
            As `check_password`; SignInRefused too where the password has just been changed.
        """
        row = self._recognised(login, password, address)
        hashed = self._hashed_anew(row, password) if self._hasher.check_needs_rehash(row.password) else row.password
        return self._open(row.login, hashed)

    def check_password(self, login: str, password: str, address: str) -> Person:
        """Whose login and password these are. The work is the same for a login that nobody has.

        Raises
        ------
        TooManyGuesses
            From there, or at that login, there were too many: nothing was looked at.
        SignInRefused
            Login unknown, password wrong, account or agency closed.
        """
        return _person(self._recognised(login, password, address))

    def _recognised(self, login: str, password: str, address: str) -> sa.Row:
        login = login.strip().lower()[:MOST_PASSWORD]
        nobodys = self._nobodys
        with self._trouble_told():
            self.guesses.begin(login, address)
        with self._reading() as connection:
            row = connection.execute(sa.select(people_table).where(people_table.c.login == login)).first()
            is_open = row is not None and row.is_active and _is_agency_open(connection, row.agency_id)
        is_right = self._verified(row.password if row else nobodys, _normal(password[:4 * MOST_PASSWORD]))
        if not (is_right and is_open):
            raise SignInRefused
        with self._trouble_told():
            self.guesses.right(login, address)
        return row

    @cached_property
    def _nobodys(self) -> str:
        """The hash that guesses at unknown logins are compared with."""
        return self._hasher.hash(secrets.token_hex(16))

    def _hashed(self, password: str) -> str:
        with self._hashing:
            return self._hasher.hash(password)

    def _verified(self, hashed: str, password: str) -> bool:
        with self._hashing:
            try:
                return self._hasher.verify(hashed, password)
            except (VerificationError, InvalidHashError):
                return False

    def _hashed_anew(self, row: sa.Row, password: str) -> str:
        """The same password under the parameters of today."""
        hashed, columns = self._hashed(_normal(password)), people_table.c
        with self._writing() as connection:
            unchanged = (columns.login == row.login) & (columns.password == row.password)
            connection.execute(sa.update(people_table).where(unchanged).values(password=hashed))
        return hashed

    # -- sessions

    def open_session(self, login: str) -> tuple[str, SignedIn]:
        """A new session and its token, for the cookie: 256 random bits, never one that came from outside. Raises PersonNotDefined."""
        return self._open(login, None)

    def _open(self, login: str, hashed: str | None) -> tuple[str, SignedIn]:
        """With `hashed`, only while that is still the password."""
        token, at = secrets.token_urlsafe(32), self._clock()
        with self._writing() as connection:
            row = _row_of(connection, login)
            if hashed is not None and row.password != hashed:
                raise SignInRefused
            connection.execute(sa.delete(sessions_table).where(sessions_table.c.ends <= utc(at)))
            connection.execute(sa.insert(sessions_table).values(
                digest=_digest(token), login=login, opened=utc(at), seen=utc(at), ends=utc(at + self.longest),
            ))
        return token, _session(_person(row), token, at + self.longest)

    def session(self, token: str) -> SignedIn | None:
        """Who is signed in by a session's token; None where it has ended, by time or by hand."""
        at, columns = self._clock(), sessions_table.c
        with self._reading() as connection:
            row = connection.execute(sa.select(sessions_table).where(columns.digest == _digest(token))).first()
            if row is None or from_database(row.ends) <= at or from_database(row.seen) + self.idle <= at:
                return None
            person = _open_person(connection, row.login)
        if person is None:
            return None
        if at - from_database(row.seen) >= SEEN_EVERY:
            with self._writing() as connection:
                connection.execute(sa.update(sessions_table).where(columns.digest == row.digest).values(seen=utc(at)))
        return _session(person, token, from_database(row.ends))

    def end_session(self, token: str) -> None:
        with self._writing() as connection:
            connection.execute(sa.delete(sessions_table).where(sessions_table.c.digest == _digest(token)))

    # -- tokens

    def issue_token(self, login: str, label: str, roles: Iterable[Role], expires: datetime) -> tuple[Token, str]:
        """A token for scripts, and the secret itself, which is kept nowhere.

        Raises
        ------
        PersonNotDefined
        AccountInvalid
            Roles that the person has not, or an end that is past or more than a year away.
        """
        secret, at = TOKEN_PREFIX + base64.b32encode(secrets.token_bytes(32)).decode().rstrip("=").lower(), self._clock()
        if not at < expires <= at + LONGEST_TOKEN:
            raise AccountInvalid("token-expiry", {"days": str(LONGEST_TOKEN.days)}, "expires")
        token = Token(token_id=f"t_{secrets.token_hex(4)}", login=login, label=label, roles=frozenset(roles), issued=at, expires=expires)
        with self._writing() as connection:
            person = _person(_row_of(connection, login))
            if not token.roles or not token.roles <= person.roles:
                raise AccountInvalid("token-roles", {"roles": ", ".join(sorted(person.roles))}, "roles")
            connection.execute(sa.insert(tokens_table).values(
                token_id=token.token_id, login=login, digest=_digest(secret), label=label, roles=sorted(token.roles), issued=utc(at), expires=utc(expires),
            ))
        return token, secret

    def tokens(self, login: str) -> tuple[Token, ...]:
        columns = tokens_table.c
        with self._reading() as connection:
            rows = connection.execute(sa.select(tokens_table).where(columns.login == login).order_by(columns.issued, columns.token_id))
            return tuple(_token(row) for row in rows)

    def revoke_token(self, login: str, token_id: str) -> None:
        """From now on it counts for nothing; again changes nothing. Raises TokenNotDefined."""
        columns = tokens_table.c
        with self._writing() as connection:
            held = (columns.token_id == token_id) & (columns.login == login)
            if connection.execute(sa.select(columns.token_id).where(held)).first() is None:
                raise TokenNotDefined(token_id)
            still = held & columns.revoked.is_(None)
            connection.execute(sa.update(tokens_table).where(still).values(revoked=utc(self._clock())))

    def by_token(self, secret: str) -> SignedIn | None:
        """Who is signed in by a token, with the roles of the token that the person still has; None where it does not count."""
        at = self._clock()
        with self._reading() as connection:
            row = connection.execute(sa.select(tokens_table).where(tokens_table.c.digest == _digest(secret))).first()
            if row is None or row.revoked is not None or from_database(row.expires) <= at:
                return None
            person = _open_person(connection, row.login)
        roles = frozenset(Role(one) for one in row.roles) & person.roles if person else frozenset()
        if not roles:
            return None
        return SignedIn(person=replace(person, roles=roles), proof=Proof.TOKEN, proof_id=row.token_id, ends=from_database(row.expires))

    # -- how it is reached

    def _sign_out(self, connection: sa.Connection, login: str, *, tokens: bool) -> None:
        connection.execute(sa.delete(sessions_table).where(sessions_table.c.login == login))
        if tokens:
            still = (tokens_table.c.login == login) & tokens_table.c.revoked.is_(None)
            connection.execute(sa.update(tokens_table).where(still).values(revoked=utc(self._clock())))

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with self._trouble_told(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with self._trouble_told(), writing(self._engine) as connection:
            yield connection

    @contextmanager
    def _trouble_told(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            raise AccountsUnavailable(
                f"accounts can't be read or written ({type(error).__name__}): see that the database is there and migrated"
            ) from error


def _normal(password: str) -> str:
    return unicodedata.normalize("NFKC", password)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _session(person: Person, token: str, ends: datetime) -> SignedIn:
    """The token of its forms follows from the session's own, one way: it holds for that session alone, and is kept nowhere."""
    csrf = hmac.new(token.encode(), b"form", hashlib.sha256).hexdigest()
    return SignedIn(person=person, proof=Proof.SESSION, proof_id=f"s_{_digest(token)[:8]}", csrf=csrf, ends=ends)


def _row_of(connection: sa.Connection, login: str) -> sa.Row:
    row = connection.execute(sa.select(people_table).where(people_table.c.login == login)).first()
    if row is None:
        raise PersonNotDefined(login)
    return row


def _open_person(connection: sa.Connection, login: str) -> Person | None:
    row = connection.execute(sa.select(people_table).where(people_table.c.login == login)).first()
    return _person(row) if row is not None and row.is_active and _is_agency_open(connection, row.agency_id) else None


def _is_agency_open(connection: sa.Connection, agency: str) -> bool:
    columns = agencies_table.c
    return agency == BUREAU or bool(connection.scalar(sa.select(columns.is_active).where(columns.agency_id == agency)))


def _check_agency(connection: sa.Connection, agency: str) -> None:
    columns = agencies_table.c
    if agency != BUREAU and connection.execute(sa.select(columns.agency_id).where(columns.agency_id == agency)).first() is None:
        raise AccountInvalid("agency-unknown", {"agency": agency[:80]}, "agency")


def _administers(person: Person) -> bool:
    return person.is_active and Role.ADMINISTRATOR in person.roles


def _person(row: sa.Row) -> Person:
    return Person(
        login=row.login, name=row.name, roles=frozenset(Role(one) for one in row.roles), agency=row.agency_id, is_active=row.is_active,
        must_change=row.must_change, created=from_database(row.created),
    )


def _token(row: sa.Row) -> Token:
    return Token(
        token_id=row.token_id, login=row.login, label=row.label, roles=frozenset(Role(one) for one in row.roles), issued=from_database(row.issued),
        expires=from_database(row.expires), revoked=from_database(row.revoked),
    )
