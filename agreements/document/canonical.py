"""One form of bytes for one meaning of an agreement, and its SHA-256: what the parties sign is what the service enforces.

The form is JSON by RFC 8785 (JCS). It follows the values, not the document: comments, layout, YAML or JSON, the order of sets, of grants and of
contributions change nothing. A field that says its default is left out, so that a field which comes later changes no digest of today. Ground is
named by the digest of its geometry (`agreements.areas.digest_of`), days and moments by ISO 8601 in Asia/Shanghai. What happens to an agreement
after it was signed - its state, whether a newer version stands in its place - is no part of it.
"""

import hashlib
from dataclasses import MISSING, fields, is_dataclass
from datetime import date, datetime
from enum import Enum

import rfc8785

from agreements.document.reading import SHANGHAI
from agreements.model import Agreement, Area

FORM = "geoshare-agreement-1"
"""Named in every canonical text: another way to write one would be another form."""

AFTERWARDS = frozenset({"state", "replaced"})
"""Of an agreement: what became of it."""


def canonical_digest(agreement: Agreement) -> str:
    """SHA-256 (hex) of the canonical form, of an agreement as it was read or registered: without suspensions that came later."""
    return hashlib.sha256(canonical_form(agreement)).hexdigest()


def canonical_form(agreement: Agreement) -> bytes:
    """UTF-8 JSON by RFC 8785."""
    return rfc8785.dumps({"form": FORM, "agreement": _plain(agreement)})


def _plain(value: object) -> object:
    if isinstance(value, Area):
        return {"sha256": value.digest}
    if is_dataclass(value):
        held = {one: getattr(value, one.name) for one in fields(value) if not (isinstance(value, Agreement) and one.name in AFTERWARDS)}
        return {one.name: _plain(said) for one, said in held.items() if one.default is MISSING or said != one.default}
    if isinstance(value, (frozenset, tuple)):
        return _listed(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.astimezone(SHANGHAI).isoformat()
    return value.isoformat() if isinstance(value, date) else value


def _listed(values: frozenset | tuple) -> list:
    """Sets, and lists of values with fields, in the order of their own canonical form; lists of words (the steps of a dispute) as they stand."""
    plain = [_plain(one) for one in values]
    is_ordered = isinstance(values, tuple) and not any(is_dataclass(one) for one in values)
    return plain if is_ordered else sorted(plain, key=rfc8785.dumps)
