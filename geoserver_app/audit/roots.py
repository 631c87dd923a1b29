"""What is sealed of a day: one root an agency over its own rows, one root over them all, chained to the day before.

A row is a line of a segment as it lies there, without its line break. An agency's rows are taken segment by segment in order of their names,
line by line: that order is part of the seal. What says whose a row is, is its member `agency`; rows of nobody (a key that is unknown, an
administrator's act) belong to `NOBODY`. Days are those of Asia/Shanghai, and every day is sealed, also one without any row.

    agency root   Merkle root (RFC 9162) over the agency's rows
    agencies      Merkle root over one leaf an agency, by id: the bytes `<agency> <rows> <root>`
    day root      SHA-256 of the five lines of `DayRoot.statement`, which name the root of the day before
"""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from geoserver_app.audit.merkle import LEAF, Tree, inclusion_path, leaf_hash, root_from_path
from geoserver_app.decision_log import ROOTS, SEGMENT

FIRST_DIGEST = "0" * 64
"""In place of the day before the first."""

NOBODY = "-"
SEALED_BY = b',"seal":"'
SEAL_BYTES = len(SEALED_BY) + 64 + len(b'"}')
"""Of the end of a row, from `SEALED_BY` on."""

MOST_BYTES = 4 << 20
"""Of a line: nothing that the service writes comes near it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgencyRoot:
    agency: str
    rows: int
    root: str                                    # hex

    def leaf(self) -> bytes:
        return leaf_hash(f"{self.agency} {self.rows} {self.root}".encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSegment:
    """`torn` counts the bytes after the last whole line: what a worker wrote that died, and nothing was served for."""

    segment: str
    lines: int
    seal: str                                    # of the last whole line
    torn: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Retirement:
    """Where the rows of a day went."""

    at: datetime
    file: str                                    # its name
    sha256: str


@dataclass(frozen=True, kw_only=True)
class DayRoot:
    """`register` is where the history of the register stood when the day was sealed: number and seal of its last event.

    `findings` are what `verify` had to say of the day before it was sealed: sealing hides nothing.
    """

    day: date
    previous: str                                # digest of the day before
    agencies: tuple[AgencyRoot, ...] = ()        # by id
    segments: tuple[SealedSegment, ...] = ()     # by name
    register: tuple[int, str] | None = None
    findings: tuple[str, ...] = ()
    retired: Retirement | None = None            # no part of the seal

    @property
    def rows(self) -> int:
        return sum(one.rows for one in self.agencies)

    @cached_property
    def agencies_root(self) -> str:
        return Tree(one.leaf() for one in self.agencies).root().hex()

    @cached_property
    def contents(self) -> str:
        """SHA-256 over all that is sealed beside the agencies' rows."""
        return sha256(_canonical(self._contents()).encode()).hexdigest()

    def statement(self) -> str:
        """What the day root is the digest of: five lines, so that anybody can work it out with any tool."""
        return _statement(self.day.isoformat(), self.previous, self.agencies_root, self.contents)

    @cached_property
    def digest(self) -> str:
        return sha256(self.statement().encode()).hexdigest()

    def document(self) -> str:
        """The seal as it is kept in the database and beside the segments."""
        return _canonical({
            "day": self.day.isoformat(), "digest": self.digest, "previous": self.previous,
            "agencies": [[one.agency, one.rows, one.root] for one in self.agencies], **self._contents(),
        }) + "\n"

    def _contents(self) -> dict:
        return {
            "segments": [[one.segment, one.lines, one.seal, one.torn] for one in self.segments], "register": self.register,
            "findings": self.findings,
        }

    @classmethod
    def parse(cls, document: str, retired: Retirement | None = None) -> "DayRoot":
        """Raises ValueError where it is no seal, or one that doesn't have its own digest."""
        try:
            held = json.loads(document)
            root = cls(
                day=date.fromisoformat(held["day"]), previous=held["previous"], register=held["register"] and tuple(held["register"]),
                agencies=tuple(AgencyRoot(agency=agency, rows=rows, root=root) for agency, rows, root in held["agencies"]),
                segments=tuple(
                    SealedSegment(segment=name, lines=lines, seal=seal, torn=torn) for name, lines, seal, torn in held["segments"]
                ),
                findings=tuple(held["findings"]), retired=retired,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError("can't be read as the seal of a day") from error
        if root.digest != held.get("digest"):
            raise ValueError("does not have the digest that it names: something in it was altered")
        return root


STATEMENT = "geoshare-audit-day 1\n{day}\nprevious {previous}\nagencies {agencies}\ncontents {contents}\n"


def _statement(day: str, previous: str, agencies: str, contents: str) -> str:
    return STATEMENT.format(day=day, previous=previous, agencies=agencies, contents=contents)


def _canonical(value) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


# -- rows

def segments_of(folder: Path, day: date) -> list[Path]:
    """The segments of a day in order."""
    return sorted(path for path in (folder / day.isoformat()).glob("*.jsonl") if SEGMENT.fullmatch(path.stem))


def lines_of(path: Path) -> Iterator[bytes]:
    """The lines of a segment with their line breaks; the last may have none."""
    with path.open("rb", buffering=1 << 20) as segment:
        yield from iter(lambda: segment.readline(MOST_BYTES), b"")


OWNER = re.compile(rb'\{"id":"[^"\\]*","at":"[^"\\]*","event":"[^"\\]*","agency":(?:"([a-z][a-z0-9_-]*)"|null)[,}]')


def agency_of(line: bytes) -> str:
    """Whose row it is; NOBODY's where it says so, or can't be read.

    >>> agency_of(b'{"id":"a-2","at":"x","event":"overlay.decided","agency":"water","seal":"0"}'), agency_of(b'{"id":"a-3","layer":"x"}')
    ('water', '-')
    """
    if found := OWNER.match(line):
        return found[1].decode() if found[1] else NOBODY
    try:
        agency = json.loads(line).get("agency")
    except (ValueError, AttributeError):
        return NOBODY
    return agency if isinstance(agency, str) and agency else NOBODY


def agency_roots(rows: Iterable[bytes]) -> tuple[AgencyRoot, ...]:
    """One root an agency over its `rows`, which come in order and without line breaks."""
    trees: dict[bytes, Tree] = {}
    match, digest, nobody = OWNER.match, sha256, NOBODY.encode()
    for row in rows:
        found = match(row)
        owner = (found[1] or nobody) if found else agency_of(row).encode("utf-8", "backslashreplace")
        tree = trees.get(owner)
        if tree is None:
            tree = trees[owner] = Tree()
        tree.add(digest(LEAF + row).digest())
    return tuple(
        AgencyRoot(agency=owner.decode(), rows=tree.size, root=tree.root().hex()) for owner, tree in sorted(trees.items())
    )


def measure_day(folder: Path, day: date) -> tuple[tuple[AgencyRoot, ...], tuple[SealedSegment, ...]]:
    """What there is to be sealed of a day, as it lies there."""
    segments: list[SealedSegment] = []
    agencies = agency_roots(row for path in segments_of(folder, day) for row in _whole_rows(path, segments))
    return agencies, tuple(segments)


def _whole_rows(path: Path, segments: list[SealedSegment]) -> Iterator[bytes]:
    lines, row, torn = 0, b"", 0
    for line in lines_of(path):
        if line[-1:] == b"\n":
            lines, row = lines + 1, line[:-1]
            yield row
        else:
            torn += len(line)
    segments.append(SealedSegment(segment=path.stem, lines=lines, seal=seal_of(row), torn=torn))


def seal_of(row: bytes) -> str:
    """The seal that a row bears, without its line break; "" where it bears none."""
    return row[-66:-2].decode("ascii", "replace") if row[-SEAL_BYTES:-66] == SEALED_BY and row[-2:] == b'"}' else ""


# -- files beside the segments

def write_beside(folder: Path, root: DayRoot) -> Path:
    """Puts the seal beside the segments, in one move: nobody ever reads half of it."""
    path = root_path(folder, root.day)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}.new")
    with draft.open("w", encoding="utf-8") as out:
        out.write(root.document())
        out.flush()
        os.fsync(out.fileno())
    draft.replace(path)
    return path


def root_path(folder: Path, day: date) -> Path:
    return folder / ROOTS / f"{day.isoformat()}.json"


def read_beside(folder: Path) -> dict[date, str]:
    """The documents of all days sealed, as they lie beside the segments."""
    found = {}
    for path in sorted((folder / ROOTS).glob("*.json")):
        try:
            found[date.fromisoformat(path.stem)] = path.read_text("utf-8", errors="replace")
        except ValueError:
            continue                                     # the name of no day
    return found


# -- an agency's own rows

@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """All that an agency needs beside its own rows to work out the day root, and nothing of anybody else's."""

    day: date
    agency: str
    rows: int
    root: str                                    # of the agency
    index: int                                   # of its leaf
    size: int                                    # how many leaves there are
    path: tuple[str, ...]
    previous: str
    contents: str
    day_root: str

    def document(self) -> str:
        return json.dumps(
            {"day": self.day.isoformat(), **{name: getattr(self, name) for name in self.__slots__ if name != "day"}}, ensure_ascii=False, indent=1,
        ) + "\n"

    @classmethod
    def parse(cls, document: str) -> "Proof":
        """Raises ValueError where it is none."""
        try:
            held = json.loads(document)
            return cls(**held | {"day": date.fromisoformat(held["day"]), "path": tuple(held["path"])})
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise ValueError("the proof can't be read: it must be the file that `geoshare audit own` wrote") from error


def prove(root: DayRoot, agency: str) -> Proof:
    """The proof for one agency. Raises LookupError where it has no row of that day."""
    index = next((at for at, one in enumerate(root.agencies) if one.agency == agency), None)
    if index is None:
        raise LookupError(f"`{agency}` has no row on {root.day}")
    own = root.agencies[index]
    path = inclusion_path([one.leaf() for one in root.agencies], index)
    return Proof(
        day=root.day, agency=agency, rows=own.rows, root=own.root, index=index, size=len(root.agencies), path=tuple(one.hex() for one in path),
        previous=root.previous, contents=root.contents, day_root=root.digest,
    )


def doubts(rows: Iterable[bytes], proof: Proof, held: str | None = None) -> Iterator[str]:
    """What speaks against the rows being all that the agency did that day, and part of what was sealed; nothing where all is well.

    `rows` are without line breaks; `held` is the day root that the agency was told at the time, if it kept it. Needs no database.
    """
    roots = agency_roots(rows)
    strangers = [one.agency for one in roots if one.agency != proof.agency]
    if strangers:
        yield f"rows of {', '.join(strangers)} are among them: they are not all of `{proof.agency}`"
    own = next((one for one in roots if one.agency == proof.agency), None)
    found = own.rows if own else 0
    if found != proof.rows:
        yield f"{found} rows where {proof.rows} were sealed: some were dropped or added"
    elif own and own.root != proof.root:
        yield "the rows are not those that were sealed: one at least was altered, exchanged or moved"
    if (day_root := _day_root(proof)) != proof.day_root:
        yield "the path does not lead to the day root: the proof was altered"
    if held is not None and held.strip().lower() != day_root:
        yield f"the day root is {day_root}, not the one you hold: the day was sealed anew"


def _day_root(proof: Proof) -> str | None:
    try:
        path = [bytes.fromhex(one) for one in proof.path]
    except (ValueError, TypeError):
        return None
    leaf = AgencyRoot(agency=proof.agency, rows=proof.rows, root=proof.root).leaf()
    agencies = root_from_path(leaf, proof.index, proof.size, path)
    if agencies is None:
        return None
    return sha256(_statement(proof.day.isoformat(), proof.previous, agencies.hex(), proof.contents).encode()).hexdigest()


# -- the chain of days

def chain_faults(roots: Sequence[DayRoot]) -> Iterator[tuple[date, str]]:
    """Where the days, in order, don't follow from one another."""
    before: DayRoot | None = None
    for root in roots:
        if before is not None and (root.day - before.day).days != 1:
            yield root.day, f"follows {before.day}: the seals of the days between are gone"
        if root.previous != (before.digest if before else FIRST_DIGEST):
            yield root.day, "does not follow from the seal of the day before: one of the two was exchanged" if before else \
                "names a day before it whose seal is gone"
        before = root


def by_day(roots: Iterable[DayRoot]) -> Mapping[date, DayRoot]:
    return {root.day: root for root in roots}
