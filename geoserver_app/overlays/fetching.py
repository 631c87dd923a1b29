"""The only way out of this service: GET at a host that an administrator listed, at an address that was looked at, with nothing followed.

The name is resolved once, every address that it stands for is looked at, and the connection goes to one of those very addresses: a name that changes its
mind in between changes nothing. An address of a private or special network is asked only where the host is listed as one inside. A redirect is not
followed. Bytes and seconds are capped. What an agency asks with is kept sealed under a key that only this instance has; it goes into a header, and into no
address, log, answer or file.
"""

import base64
import hashlib
import http.client
import ipaddress
import json
import re
import secrets
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qsl, urlsplit

import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken

from geoserver_app.database import from_database, utc, writing
from geoserver_app.overlays.faults import OverlayInvalid
from geoserver_app.overlays.tables import credentials_table, hosts_table
from tiles.remote import Fetched, Unreachable

CONNECT_SECONDS, ALL_SECONDS = 4.0, 12.0
BLOCK = 64 << 10
LONGEST_URL = 2000
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
SECRET_NAME = re.compile(r"(api[_-]?key|apikey|token|access[_-]?token|pass(word|wd)?|secret|auth|authkey|tk|ak|sk|key|signature|sig|user(name)?)", re.IGNORECASE)
PORTS = {"http": 80, "https": 443}
HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,60}")
FORBIDDEN_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection", "upgrade", "cookie", "expect", "te", "trailer"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One that may be asked. `is_inside`: it stands in a network of the house, so that its private address is right."""

    host: str
    port: int
    is_inside: bool
    note: str = ""
    listed: datetime | None = None
    listed_by: str = ""


class HostBook:
    """The administrators' list."""

    def __init__(self, database: sa.Engine, clock: Callable[[], datetime]):
        self.database, self.clock = database, clock

    def put(self, host: Host) -> Host:
        row = {
            "host": host.host.lower(), "port": host.port, "is_inside": host.is_inside, "note": host.note, "listed": utc(self.clock()), "listed_by": host.listed_by,
        }
        columns = hosts_table.c
        with writing(self.database) as connection:
            same = (columns.host == row["host"]) & (columns.port == row["port"])
            if not connection.execute(hosts_table.update().where(same).values(**row)).rowcount:
                connection.execute(hosts_table.insert().values(**row))
        return self.get(row["host"], host.port)

    def get(self, host: str, port: int) -> Host | None:
        columns = hosts_table.c
        with self.database.connect() as connection:
            row = connection.execute(sa.select(hosts_table).where(columns.host == host.lower(), columns.port == port)).first()
        return _host(row) if row else None

    def list(self) -> list[Host]:
        with self.database.connect() as connection:
            return [_host(row) for row in connection.execute(sa.select(hosts_table).order_by(hosts_table.c.host, hosts_table.c.port))]

    def remove(self, host: str, port: int) -> bool:
        columns = hosts_table.c
        with writing(self.database) as connection:
            return connection.execute(hosts_table.delete().where(columns.host == host.lower(), columns.port == port)).rowcount > 0


def _host(row: sa.Row) -> Host:
    return Host(host=row.host, port=row.port, is_inside=row.is_inside, note=row.note, listed=from_database(row.listed), listed_by=row.listed_by)


class CredentialBook:
    """What agencies ask other services with, sealed under a key made of the instance's secret."""

    def __init__(self, database: sa.Engine, secret: bytes, clock: Callable[[], datetime]):
        self.database, self.clock = database, clock
        self._box = Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"remote credentials\n" + secret).digest()))

    def keep(self, agency: str, host: str, header: str, value: str) -> str:
        """Its id. `host` ("maps.example.gov:443") is the only one that it is ever sent to."""
        credential_id = secrets.token_hex(12)
        sealed = self._box.encrypt(json.dumps([header, value]).encode())
        with writing(self.database) as connection:
            connection.execute(credentials_table.insert().values(
                credential_id=credential_id, agency=agency, host=host.lower(), sealed=sealed, kept=utc(self.clock()),
            ))
        return credential_id

    def header_for(self, credential_id: str, host: str) -> tuple[str, str]:
        """Raises Unreachable where there is none for that host, or it was sealed by another instance."""
        with self.database.connect() as connection:
            row = connection.execute(sa.select(credentials_table).where(credentials_table.c.credential_id == credential_id)).first()
        if row is None or row.host != host.lower():
            raise Unreachable("there is no credential for that host")
        try:
            header, value = json.loads(self._box.decrypt(row.sealed))
        except InvalidToken:
            raise Unreachable("the credential was sealed by another instance") from None
        return header, value

    def forget(self, credential_id: str) -> None:
        with writing(self.database) as connection:
            connection.execute(credentials_table.delete().where(credentials_table.c.credential_id == credential_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A URL that may be asked, taken apart."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def name(self) -> str:
        return f"{self.host}:{self.port}"


def address_of(url: str) -> Address:
    """Raises OverlayInvalid for a URL that is none that is ever asked."""
    if len(url) > LONGEST_URL or any(ord(c) <= 32 or ord(c) >= 127 for c in url) or "\\" in url:
        raise OverlayInvalid("remote-url")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise OverlayInvalid("remote-url") from None
    if parts.scheme not in PORTS or not parts.hostname or "@" in parts.netloc or parts.fragment or not _is_host(parts.hostname):
        raise OverlayInvalid("remote-url")
    return Address(
        scheme=parts.scheme, host=parts.hostname.lower(), port=port or PORTS[parts.scheme], target=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
    )


def _is_host(name: str) -> bool:
    """A name, or an address of IPv6 without a zone."""
    if ":" in name:
        if "%" in name:
            return False
        try:
            return ipaddress.ip_address(name).version == 6
        except ValueError:
            return False
    return HOST.fullmatch(name) is not None


def base_url(url: str) -> str:
    """A service's address as it was given, without anything that looks like a secret. Raises OverlayInvalid."""
    address_of(url)
    found = next((name for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True) if SECRET_NAME.fullmatch(name)), None)
    if found is not None:
        raise OverlayInvalid("remote-url-secret", name=found[:40])
    return url


def check_header(header: str, value: str) -> None:
    """Raises OverlayInvalid for a header that is none to ask with."""
    if not HEADER_NAME.fullmatch(header) or header.lower() in FORBIDDEN_HEADERS or not value.isprintable() or not value.isascii() or len(value) > 4000:
        raise OverlayInvalid("remote-header")


Resolve = Callable[[str, int], list[str]]


def resolved(host: str, port: int) -> list[str]:
    """Every address that a name stands for. Raises OSError."""
    return list(dict.fromkeys(found[4][0] for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))


class Fetcher:
    """The door. Safe to share by threads."""

    def __init__(self, hosts: HostBook, credentials: CredentialBook, resolve: Resolve = resolved, context: ssl.SSLContext | None = None):
        self.hosts, self.credentials, self._resolve = hosts, credentials, resolve
        self._context = context or ssl.create_default_context()

    def fetch(self, url: str, *, credential: str | None, most_bytes: int, seconds: float = ALL_SECONDS) -> Fetched:
        """What a GET of `url` answers. Raises Unreachable."""
        until = time.monotonic() + seconds
        try:
            address = address_of(url)
        except OverlayInvalid:
            raise Unreachable("it is no address that can be asked") from None
        headers = {"User-Agent": "geoshare", "Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close"}
        if credential is not None:
            name, value = self.credentials.header_for(credential, address.name)
            headers[name] = value
        connection = self._connection(address, self.addresses(address), until)
        try:
            connection.request("GET", address.target, headers=headers)
            answer = connection.getresponse()
            if answer.status != 200:
                raise Unreachable(f"it answered with status {answer.status}")
            if answer.getheader("Content-Encoding", "identity").lower() != "identity":
                raise Unreachable("it answered packed, which was not asked for")
            return Fetched(body=_body(connection, answer, most_bytes, until), media_type=answer.getheader("Content-Type", "").partition(";")[0].strip().lower())
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(_why(error)) from None
        finally:
            connection.close()

    def addresses(self, address: Address) -> list[str]:
        """Those that may be asked of a host that is listed. Raises Unreachable."""
        listed = self.hosts.get(address.host, address.port)
        if listed is None:
            raise Unreachable("its host is not listed")
        try:
            found = self._resolve(address.host, address.port)
        except OSError:
            raise Unreachable("its name can't be resolved") from None
        is_here = listed.is_inside and address.host in ("localhost", *found)          # a name elsewhere never stands for this very machine
        if not found or not all(may_be_asked(one, is_inside=listed.is_inside, is_here=is_here) for one in found):
            raise Unreachable("its name stands for an address that may not be asked")
        return found

    def _connection(self, address: Address, addresses: list[str], until: float) -> http.client.HTTPConnection:
        """To one of the very addresses that were looked at; the certificate must be that of the name."""
        error: OSError | None = None
        for one in addresses:
            try:
                plain = socket.create_connection((one, address.port), timeout=min(CONNECT_SECONDS, max(until - time.monotonic(), 0.1)))
            except OSError as found:
                error = found
                continue
            connection = http.client.HTTPConnection(address.host, address.port)
            try:
                connection.sock = self._context.wrap_socket(plain, server_hostname=address.host) if address.scheme == "https" else plain
            except (OSError, ssl.SSLError) as found:
                plain.close()
                raise Unreachable(_why(found)) from None
            connection.auto_open = False
            connection.sock.settimeout(max(until - time.monotonic(), 0.1))
            return connection
        raise Unreachable(_why(error or OSError())) from None


def may_be_asked(address: str, *, is_inside: bool, is_here: bool = False) -> bool:
    """Whether an address may be asked at all: one of the open network, or - of a host that is listed as inside - of a private one; this very machine only
    where it is listed under its own name. Never one that stands for many, for nobody, or for a machine's own link."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        hidden = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if hidden is not None:
            return may_be_asked(str(hidden), is_inside=is_inside, is_here=is_here)
        if found in ipaddress.ip_network("64:ff9b::/96"):
            return may_be_asked(str(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)), is_inside=is_inside, is_here=is_here)
    if found.is_multicast or found.is_unspecified or found.is_link_local or (found.is_reserved and not found.is_loopback):
        return False
    return is_here if found.is_loopback else found.is_global or is_inside


def _body(connection: http.client.HTTPConnection, answer: http.client.HTTPResponse, most_bytes: int, until: float) -> bytes:
    parts, got = [], 0
    while True:
        left = until - time.monotonic()
        if left <= 0:
            raise Unreachable("it takes too long")
        if connection.sock is not None:
            connection.sock.settimeout(left)
        block = answer.read1(BLOCK)
        if not block:
            break
        got += len(block)
        if got > most_bytes:
            raise Unreachable(f"it answers with more than {most_bytes >> 20} MB")
        parts.append(block)
    if answer.length:
        raise Unreachable("its answer broke off")
    return b"".join(parts)


def _why(error: Exception) -> str:
    """In words that tell nothing of addresses."""
    match error:
        case TimeoutError():
            return "it takes too long"
        case ssl.SSLError():
            return "its certificate does not count"
        case http.client.HTTPException():
            return "it does not speak HTTP as it should"
    return "it can't be reached"


def sealed_header(kind: str, sent: Mapping[str, str]) -> tuple[str, str]:
    """The header that a credential goes into: `basic` (user, password), `bearer` (token) or `header` (name, value). Raises OverlayInvalid."""
    match kind:
        case "basic":
            found = "Authorization", "Basic " + base64.b64encode(f"{sent.get('user', '')}:{sent.get('password', '')}".encode()).decode()
        case "bearer":
            found = "Authorization", f"Bearer {sent.get('token', '')}"
        case _:
            found = sent.get("name", ""), sent.get("value", "")
    check_header(*found)
    return found
