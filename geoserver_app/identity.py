"""Who asks: credentials of a request -> Caller, or Unidentified (401).

A key comes as `Authorization: Bearer`, `X-API-Key`, HTTP Basic (agency and key, or the key alone on either side), `?key=` / `?tk=`, or as a
path segment `/k/<key>/...` for clients that can do nothing else. One request, one key: two different ones are refused.
"""

import base64
import binascii
import hashlib
import ipaddress
import re
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from functools import lru_cache
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from agreements.model import Agency, Key, RegisterSnapshot

QUERY_NAMES = ("key", "tk")
PATH_PREFIX = "/k/"


class Unidentified(Exception):
    """No key, or none that counts. `code` is `key-missing`, `key-unknown` or `key-ambiguous`; the answer never says which key it was.

    `by_address` tells that a key came in the query or the path: then there is no password to ask a person for.
    """

    def __init__(self, code: str, *, by_address: bool = False):
        super().__init__(code)
        self.code, self.by_address = code, by_address


class Carriage(Enum):
    """How the key came, and so whether addresses that we build carry it on."""

    HEADER = "header"
    QUERY = "query"
    PATH = "path"


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """A key as it came."""

    secret: str
    carriage: Carriage
    name: str = "key"
    page: str = ""               # origin of the page that asks, as the browser says

    def __repr__(self) -> str:
        return f"Presented(<{len(self.secret)} characters>, {self.carriage})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """An agency, by one of its keys."""

    agency: Agency
    key_id: str
    presented: Presented
    base_url: str
    app: str = ""
    purpose: str = ""
    networks: frozenset[str] = frozenset()      # of those that agreements name: where the request comes from
    origins: frozenset[str] = frozenset()       # whose scripts may read what the key is answered
    is_embeddable: bool = False                 # whether pages elsewhere may show it: the key names some, and came in the address

    @property
    def terms(self) -> tuple:
        """All that a decision depends on of who asks: callers alike in it are answered alike."""
        return self.agency.agency_id, self.app, self.purpose, self.networks

    def __repr__(self) -> str:
        return f"Caller({self.agency.agency_id}, {self.key_id})"

    def address(self, path: str, **query: str) -> str:
        """An absolute address on our public base. A key that came in the query or the path is carried on, since clients follow what
        we print; one that came in a header never is. `path` may hold template braces."""
        carriage, secret = self.presented.carriage, self.presented.secret
        if carriage is Carriage.PATH:
            path = f"{PATH_PREFIX}{quote(secret, safe='')}{path}"
        elif carriage is Carriage.QUERY:
            query = query | {self.presented.name: secret}
        return f"{self.base_url}{path}{'?' + urlencode(query) if query else ''}"


def presented_key(environ: dict) -> Presented:
    """The one key of a request, unchecked. A path key is taken out of PATH_INFO by `strip_path_key` before routing."""
    found = [*_from_headers(environ), *_from_query(environ.get("QUERY_STRING", ""))]
    if secret := environ.get("geoshare.path_key"):
        found.append(Presented(secret=secret, carriage=Carriage.PATH))
    if not found:
        raise Unidentified("key-missing")
    if len({p.secret for p in found}) > 1:
        raise Unidentified("key-ambiguous", by_address=any(p.carriage is not Carriage.HEADER for p in found))
    presented = found[0]
    return presented if presented.carriage is Carriage.HEADER else replace(presented, page=page_of(environ))


def strip_path_key(environ: dict) -> dict:
    """`/k/<key>/ows` -> `/ows`, the key kept aside: logs and routes never see it."""
    path = environ.get("PATH_INFO", "")
    if not path.startswith(PATH_PREFIX):
        return environ
    secret, slash, rest = path[len(PATH_PREFIX):].partition("/")
    return environ | {"PATH_INFO": slash + rest or "/", "geoshare.path_key": secret}


def identify(presented: Presented, register: RegisterSnapshot, now: datetime, base_url: str, address: str = "") -> Caller:
    """The agency behind a key; Unidentified where the key is unknown, revoked, past its end, or not to be used from `address` or by that page."""
    key = register.keys.get(hashlib.sha256(presented.secret.encode()).hexdigest())
    agency = register.agencies.get(key.agency_id) if key is not None and counts(key, now) and _may_come(key, presented, address) else None
    is_in_address = presented.carriage is not Carriage.HEADER
    if agency is None or not agency.is_active:
        raise Unidentified("key-unknown", by_address=is_in_address)
    return Caller(
        agency=agency, key_id=key.key_id, presented=presented, base_url=base_url, app=key.app, purpose=key.purpose,
        networks=networks_of(address, register.networks.get(agency.agency_id, frozenset())),
        origins=key.origins, is_embeddable=is_in_address and bool(key.origins or key.referers),
    )


def _may_come(key: Key, presented: Presented, address: str) -> bool:
    """From that address, and in the address of a page's request only by a page that the key names: an unnamed one may have found it."""
    if key.networks is not None and not networks_of(address, key.networks):
        return False
    return key.referers is None or presented.carriage is Carriage.HEADER or presented.page in key.referers


def client_address(environ: dict, trusted_proxies: frozenset[str]) -> str:
    """Where a request comes from: the nearest hop that is not one of the trusted proxies (CIDR blocks).

    `X-Forwarded-For` is believed only as far as each hop that speaks for the one before is trusted, from the right to the left.

    >>> hops = {"REMOTE_ADDR": "10.0.0.2", "HTTP_X_FORWARDED_FOR": "6.6.6.6, 203.0.113.9"}
    >>> client_address(hops, frozenset({"10.0.0.0/24"})), client_address(hops, frozenset())
    ('203.0.113.9', '10.0.0.2')
    """
    address = environ.get("REMOTE_ADDR", "")
    if not trusted_proxies:
        return address
    for hop in reversed(environ.get("HTTP_X_FORWARDED_FOR", "").split(",")):
        if not networks_of(address, trusted_proxies) or not hop.strip():
            break
        address = hop.strip()
    return address


@lru_cache(maxsize=65_536)
def networks_of(address: str, blocks: frozenset[str]) -> frozenset[str]:
    """Those of the CIDR blocks that hold the address; none for an address that can't be read.

    >>> sorted(networks_of("10.1.2.3", frozenset({"10.0.0.0/8", "192.168.0.0/16"}))), networks_of("::ffff:10.1.2.3", frozenset({"10.0.0.0/8"}))
    (['10.0.0.0/8'], frozenset({'10.0.0.0/8'}))
    """
    if not blocks:
        return frozenset()
    try:
        place = ipaddress.ip_address(address)
    except ValueError:
        return frozenset()
    place = getattr(place, "ipv4_mapped", None) or place
    return frozenset(block for block in blocks if place in ipaddress.ip_network(block))


def counts(key: Key, now: datetime) -> bool:
    return (key.revoked is None or now < key.revoked) and (key.expires is None or now < key.expires)


# Pages of other origins (CORS)

def origin_of(address: str) -> str:
    """The origin of an address as browsers write it; "" where it has none.

    >>> origin_of("https://Maps.example.gov:443/app?key=1"), origin_of("http://10.1.2.3:8080"), origin_of("null"), origin_of("https://u@h/")
    ('https://maps.example.gov', 'http://10.1.2.3:8080', '', 'https://h')
    """
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return ""
    if parts.scheme not in DEFAULT_PORTS or not HOST.fullmatch(parts.hostname or ""):
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{'' if port in (None, DEFAULT_PORTS[parts.scheme]) else f':{port}'}"


DEFAULT_PORTS = {"http": 80, "https": 443}
HOST = re.compile(r"[a-z0-9.-]+|[0-9a-f:.]+")


def page_of(environ: dict) -> str:
    """The origin of the page that asks: what `Origin` says, else the one of the `Referer`; "" where neither says."""
    return origin_of(environ.get("HTTP_ORIGIN") or environ.get("HTTP_REFERER", ""))


def cross_origin_headers(caller: Caller, origin: str) -> dict[str, str]:
    """What lets pages elsewhere read or show an answer: those alone that the key names. `origin` is the header as it came."""
    headers = {"Cross-Origin-Resource-Policy": "cross-origin"} if caller.is_embeddable else {}
    if origin in caller.origins:
        headers |= {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": EXPOSED}
    return headers


def may_revalidate(caller: Caller, origin: str) -> bool:
    """Whether "not modified" may be answered: to a page elsewhere that the key does not name it would say that it may read on what it has."""
    return not origin or origin in caller.origins


EXPOSED = "Content-Language, ETag, RateLimit, RateLimit-Policy, Retry-After"

PREFLIGHT_HEADERS = {
    "Access-Control-Allow-Methods": "GET, HEAD",
    "Access-Control-Allow-Headers": "Authorization, X-API-Key",
    "Access-Control-Max-Age": "600",
    "Vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
}


def preflight(environ: dict, register: RegisterSnapshot, now: datetime) -> dict[str, str] | None:
    """The headers by which a browser learns that it may send a key; None unless some key that counts names the origin.

    A preflight carries no key, so it can't be asked which: the answer to the request itself is for those alone whom its own key names.
    """
    origin, method = environ.get("HTTP_ORIGIN", ""), environ.get("HTTP_ACCESS_CONTROL_REQUEST_METHOD", "")
    wanted = {one.strip().lower() for one in environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "").split(",")} - {""}
    if not origin or method not in ("GET", "HEAD") or not wanted <= {"authorization", "x-api-key"}:
        return None
    for key in register.keys.values():
        if origin in key.origins and counts(key, now) and (agency := register.agencies.get(key.agency_id)) and agency.is_active:
            return {"Access-Control-Allow-Origin": origin, **PREFLIGHT_HEADERS}
    return None


def _from_headers(environ: dict) -> list[Presented]:
    found = []
    if secret := environ.get("HTTP_X_API_KEY", "").strip():
        found.append(Presented(secret=secret, carriage=Carriage.HEADER))
    scheme, _, credentials = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() == "bearer" and credentials.strip():
        found.append(Presented(secret=credentials.strip(), carriage=Carriage.HEADER))
    elif scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(credentials.strip(), validate=True).decode("utf-8").partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise Unidentified("key-unknown") from None
        if password or user:
            found.append(Presented(secret=password or user, carriage=Carriage.HEADER))
    return found


def _from_query(query: str) -> list[Presented]:
    if "key=" not in query.lower() and "tk=" not in query.lower():
        return []
    pairs = parse_qsl(query, keep_blank_values=True)
    return [Presented(secret=value, carriage=Carriage.QUERY, name=name.lower()) for name, value in pairs if name.lower() in QUERY_NAMES and value]
