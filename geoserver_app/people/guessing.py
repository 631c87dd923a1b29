"""Who guesses is slowed down: passwords by login and by address in the database, map keys by address in a small shared file.

Addresses and logins are kept as digests under a secret of this instance, never as they are. A guess is counted before it is looked at, so that
many at once are counted too; a right one takes the count back.
"""

import hashlib
import hmac
import ipaddress
import mmap
import os
import secrets
import struct
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from geoserver_app.clock import now
from geoserver_app.database import from_database, utc, writing

FREE_BY_LOGIN, FREE_BY_ADDRESS = 5, 20
"""Guesses without a delay. An office of many people has one address."""

LONGEST_DELAY = timedelta(minutes=15)
FORGOTTEN_AFTER = timedelta(days=1)
KNOWN_FOR = timedelta(days=60)
"""How long an address from which somebody signed in stays known as his."""

metadata = sa.MetaData()

guesses_table = sa.Table(
    "guesses", metadata,
    sa.Column("subject", sa.String(64), primary_key=True),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("last", sa.DateTime(timezone=True), nullable=False),
    sa.Column("until", sa.DateTime(timezone=True)),
)

known_addresses_table = sa.Table(
    "known_addresses", metadata,
    sa.Column("subject", sa.String(64), primary_key=True),
    sa.Column("last", sa.DateTime(timezone=True), nullable=False),
)


class TooManyGuesses(Exception):
    """Wait `seconds` before the next guess, whoever you are."""

    def __init__(self, seconds: int):
        super().__init__(f"too many guesses: wait {seconds} s")
        self.seconds = seconds


def delay_after(failures: int, free: int) -> timedelta:
    """How long to wait after so many failures in a row.

    >>> [int(delay_after(failures, 5).total_seconds()) for failures in (4, 5, 6, 10, 40)]
    [0, 1, 2, 32, 900]
    """
    if failures < free:
        return timedelta(0)
    return min(timedelta(seconds=2 ** min(failures - free, 20)), LONGEST_DELAY)


def instance_secret(path: Path) -> bytes:
    """32 random bytes that this instance made for itself, and keeps in a file that nobody else may read."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        made = path.with_name(f"{path.name}-{os.getpid()}-{secrets.token_hex(4)}")
        descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            out.write(secrets.token_bytes(32))
        try:
            os.link(made, path)                 # whole or not at all; whoever was first is right
        except FileExistsError:
            pass
        finally:
            made.unlink()
    return path.read_bytes()


def neighbourhood(address: str) -> str:
    """What counts as one address: IPv4 as it is, of IPv6 the network that one household gets.

    >>> neighbourhood("::ffff:10.1.2.3"), neighbourhood("2001:db8:1:2:3::4"), neighbourhood("unknown")
    ('10.1.2.3', '2001:db8:1:2::', 'unknown')
    """
    try:
        place = ipaddress.ip_address(address)
    except ValueError:
        return address
    place = getattr(place, "ipv4_mapped", None) or place
    return str(place) if place.version == 4 else str(ipaddress.ip_network((place, 64), strict=False).network_address)


class Guesses:
    """Failures to sign in, counted in the database: in all workers at once.

    An address from which a login has signed in before has a count of its own for it: others who guess can't keep its owner out there.
    """

    def __init__(self, engine: sa.Engine, secret: bytes, clock: Callable[[], datetime] = now):
        self._engine, self._secret, self.clock = engine, secret, clock

    def begin(self, login: str, address: str) -> None:
        """Count a guess before it is looked at.

        Raises
        ------
        TooManyGuesses
            It may not be looked at yet; it was not counted.
        """
        at, columns = self.clock(), guesses_table.c
        with writing(self._engine) as connection:
            connection.execute(sa.delete(guesses_table).where(columns.last < utc(at - FORGOTTEN_AFTER)))
            for subject, free in self._subjects(connection, login, address, at).items():
                counted = connection.execute(_one_more(connection, subject, at)).one()
                if counted.until is not None and (left := from_database(counted.until) - at) > timedelta(0):
                    raise TooManyGuesses(-(-left // timedelta(seconds=1)))          # and nothing of this transaction is kept
                wait = delay_after(counted.failures, free)
                connection.execute(sa.update(guesses_table).where(columns.subject == subject).values(until=utc(at + wait) if wait else None))

    def right(self, login: str, address: str) -> None:
        """The guess was right: it counts no more, those of the login before it neither. Those of the address stay: its other logins were guessed at."""
        at, columns = self.clock(), guesses_table.c
        by_login, by_address = self._subject("login", login), self._subject("address", neighbourhood(address))
        known = self._subject("known", login, neighbourhood(address))
        with writing(self._engine) as connection:
            connection.execute(sa.delete(guesses_table).where(columns.subject.in_((by_login, known))))
            less = {"failures": columns.failures - 1, "until": None}
            connection.execute(sa.update(guesses_table).where((columns.subject == by_address) & (columns.failures > 0)).values(less))
            insert = _insert(connection)(known_addresses_table).values(subject=known, last=utc(at))
            connection.execute(insert.on_conflict_do_update(index_elements=["subject"], set_={"last": utc(at)}))
            connection.execute(sa.delete(known_addresses_table).where(known_addresses_table.c.last < utc(at - KNOWN_FOR)))

    def _subjects(self, connection: sa.Connection, login: str, address: str, at: datetime) -> dict[str, int]:
        """What the guess counts against, and how many are free there."""
        known, table = self._subject("known", login, neighbourhood(address)), known_addresses_table
        is_known = connection.execute(
            sa.select(table.c.subject).where((table.c.subject == known) & (table.c.last >= utc(at - KNOWN_FOR)))
        ).first() is not None
        by_login = known if is_known else self._subject("login", login)
        return {by_login: FREE_BY_LOGIN, self._subject("address", neighbourhood(address)): FREE_BY_ADDRESS}

    def _subject(self, *parts: str) -> str:
        return hmac.new(self._secret, "\0".join(parts).encode(), hashlib.sha256).hexdigest()


def _insert(connection: sa.Connection) -> Callable:
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert


def _one_more(connection: sa.Connection, subject: str, at: datetime) -> sa.Executable:
    """One failure more of `subject`, in one statement, which others wait for; answers how many there are, and until when it is locked."""
    insert = _insert(connection)(guesses_table).values(subject=subject, failures=1, last=utc(at), until=None)
    more = {"failures": guesses_table.c.failures + 1, "last": utc(at)}
    return insert.on_conflict_do_update(index_elements=["subject"], set_=more).returning(guesses_table.c.failures, guesses_table.c.until)


# Map keys

SLOTS = 1 << 16
SLOT = struct.Struct("<II")                     # which minute, how many
MOST_BAD_KEYS = 60
MINUTE = 60


class BadKeys:
    """Keys that do not count, by address and minute, in a file that all workers of this machine map into memory.

    A key has 160 random bits, so nobody finds one by guessing: this only tells who tries for ever - an attacker, or a client whose key was
    revoked - to come back later, and it never stands in the way of a good key. Two addresses may share a slot, and an increment may be lost
    between two workers; neither matters to that.
    """

    def __init__(self, path: Path, secret: bytes, clock: Callable[[], datetime] = now):
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
            if os.fstat(file.fileno()).st_size < SLOTS * SLOT.size:
                file.truncate(SLOTS * SLOT.size)
            self._slots = mmap.mmap(file.fileno(), SLOTS * SLOT.size)
        self._secret, self.clock = secret, clock

    def note(self, address: str) -> int:
        """One more from `address`; the seconds after which the next may come, 0 while there were not too many."""
        moment = int(self.clock().timestamp())
        offset = self._slot(address) * SLOT.size
        minute, count = SLOT.unpack_from(self._slots, offset)
        count = count + 1 if minute == moment // MINUTE else 1
        SLOT.pack_into(self._slots, offset, moment // MINUTE, count)
        return 0 if count <= MOST_BAD_KEYS else MINUTE - moment % MINUTE

    def _slot(self, address: str) -> int:
        digest = hmac.new(self._secret, b"key\0" + neighbourhood(address).encode(), hashlib.sha256).digest()
        return int.from_bytes(digest[:4], "big") % SLOTS
