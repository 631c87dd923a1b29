"""How contributed datasets are declared: config/contributed.yaml, a table for each, read once with every fault told."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path

from ruamel.yaml import YAML, YAMLError

from agreements.record import Contribution
from layers.model import NAME

FILE = "contributed.yaml"
KINDS = ("point", "line", "area")


class FieldKind(StrEnum):
    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    DATE = "date"


class Meaning(StrEnum):
    """What the values of a field are to other systems."""

    KEY = "key"
    ORGANISATION = "organisation"
    DIVISION = "division"
    AS_OF = "as_of"


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """A field of a layer that is there already: the values of another are among its."""

    layer: str
    table: str
    field: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredField:
    name: str
    kind: FieldKind = FieldKind.TEXT
    required: bool = False
    unique: bool = False
    codes: tuple[str, ...] = ()
    at_most: int | None = None               # characters
    meaning: Meaning | None = None
    base: Base | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    covers: bool = False
    network: bool = False
    tolerance: float = 1.0                   # metres


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredTable:
    """`layer` is the part of the layer's name after that of the agency; "" where nothing is declared of the dataset."""

    layer: str = ""
    datasets: tuple[str, ...] = ()
    title_zh: str = ""
    title_en: str = ""
    geometry: str | None = None              # point | line | area; None is any
    fields: tuple[DeclaredField, ...] = ()
    topology: Topology = field(default=Topology())
    source: str = ""

    @property
    def key(self) -> str | None:
        return next((one.name for one in self.fields if one.meaning is Meaning.KEY), None)


class DeclarationsInvalid(ValueError):
    """The file holds faults; one sentence each."""


def declared_for(config: Path, contribution: Contribution) -> DeclaredTable:
    """The table that a contribution is to be; where the file has none, what the agreement says of it. Raises DeclarationsInvalid."""
    found = next((one for one in load_declared(config) if contribution.dataset in one.datasets), None)
    if found is not None:
        return found
    key = (DeclaredField(name=contribution.join_key, required=True, unique=True, meaning=Meaning.KEY),) if contribution.join_key else ()
    geometry = {"polygon": "area"}.get(contribution.geometry, contribution.geometry)
    return DeclaredTable(datasets=(contribution.dataset,), geometry=geometry if geometry in KINDS else None, fields=key)


@cache
def load_declared(config: Path) -> tuple[DeclaredTable, ...]:
    """Raises DeclarationsInvalid with every fault. Without the file nothing is declared."""
    path = config / FILE
    if not path.exists():
        return ()
    try:
        content = YAML(typ="safe").load(path.read_text("utf-8"))
    except (YAMLError, UnicodeDecodeError) as error:
        raise DeclarationsInvalid(f"{FILE} is not YAML in UTF-8: {' '.join(str(error).split())[:200]}") from error
    faults: list[str] = []
    tables = list(_tables(content, faults))
    for place, one in enumerate(tables):
        others = {name for other in tables[:place] for name in other.datasets}
        faults += [f"tables[{place}]: dataset `{name}` is declared twice" for name in one.datasets if name in others]
    if faults:
        raise DeclarationsInvalid(f"{FILE}: " + "; ".join(faults))
    return tuple(tables)


def _tables(content, faults: list[str]) -> Iterator[DeclaredTable]:
    if not isinstance(content, Mapping) or not isinstance(content.get("tables"), list):
        faults.append("must be `tables:` and a list of them")
        return
    for place, said in enumerate(content["tables"]):
        try:
            yield _table(said)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            faults.append(f"tables[{place}]: {error if isinstance(error, ValueError) else f'{error} is missing or is no such value'}")


TABLE = {"layer", "datasets", "title", "geometry", "fields", "topology", "source"}
FIELD = {"type", "required", "unique", "codes", "at_most", "is", "in"}


def _table(said: Mapping) -> DeclaredTable:
    if unknown := set(said) - TABLE:
        raise ValueError(f"has no `{sorted(unknown)[0]}`: use {', '.join(sorted(TABLE))}")
    if not NAME.fullmatch(said["layer"]) or said["geometry"] not in KINDS or not str(said["source"]).strip():
        raise ValueError(f"layer must be a layer name, geometry one of {', '.join(KINDS)}, source filled in")
    if unknown := set(said.get("topology", {})) - {"covers", "network", "tolerance"}:
        raise ValueError(f"topology has no `{sorted(unknown)[0]}`")
    table = DeclaredTable(
        layer=said["layer"], datasets=tuple(said["datasets"]), title_zh=said["title"]["zh"], title_en=said["title"]["en"], geometry=said["geometry"],
        fields=tuple(_field(name, of) for name, of in said["fields"].items()), topology=Topology(**said.get("topology", {})), source=said["source"],
    )
    if sum(one.meaning is Meaning.KEY for one in table.fields) > 1:
        raise ValueError("has more than one field that is the key")
    return table


def _field(name: str, said: Mapping) -> DeclaredField:
    if unknown := set(said) - FIELD:
        raise ValueError(f"field `{name}` has no `{sorted(unknown)[0]}`: use {', '.join(sorted(FIELD))}")
    return DeclaredField(
        name=name, kind=FieldKind(said.get("type", "text")), required=bool(said.get("required", False)), unique=bool(said.get("unique", False)),
        codes=tuple(map(str, said.get("codes", ()))), at_most=said.get("at_most"), meaning=Meaning(said["is"]) if "is" in said else None,
        base=Base(**said["in"]) if "in" in said else None,
    )
