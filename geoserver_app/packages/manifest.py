"""What goes with the files of a package: under which agreements it left, for what it may be used, what it was made from and how, and the digest
of every file. As JSON for programs, and as one page in Chinese and English for people. Nothing of it is of the files that it was cut from."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from agreements.model import Agreement
from geoserver_app.clock import in_shanghai
from geoserver_app.downloads import USE_EN, USE_ZH
from geoserver_app.messages import CHINESE, ENGLISH, sentence
from geoserver_app.packages.items import Item
from geoserver_app.packages.jobs import Package, PackageFile
from geoserver_app.packages.orders import Form
from layers.crs import is_north_first
from layers.model import Layer, Sheet
from tiles.permits import Permit

JSON_NAME, PAGE_NAME = "manifest.json", "manifest.html"

LICENCE = ("package-use-credit", "package-use-parties", "package-use-internet", "package-use-converted", "package-use-secrecy")
"""Sentences: what every agreement asks of who holds a copy."""


def manifest_of(package: Package, items: Sequence[Mapping], agreements: Iterable[Agreement], files: Sequence[PackageFile], made: str) -> dict:
    """`items` are as `item_told` makes them; `made` is when, in Asia/Shanghai."""
    named = {(one.agreement_id, one.version): one for one in agreements}
    granted = {(one["agreement"], one["version"], one["clause"]) for item in items for one in item["granted_by"]}
    told = {
        "package": package.package_id, "agency": package.agency, "ordered": in_shanghai(package.ordered).isoformat(timespec="seconds"), "made": made,
        "area": package.wanted.get("area"),
        "licence": {"text": [_both(code) for code in LICENCE], "credits": sorted({one for item in items for one in item["credits"]})},
        "agreements": [_agreement(named.get((name, version)), name, version, clause) for name, version, clause in sorted(granted, key=str)],
        "items": list(items),
        "files": [{"name": one.name, "bytes": one.size, "sha256": one.sha256, "media_type": one.media_type} for one in files],
    }
    return told | {"digest": hashlib.sha256(_canonical(told)).hexdigest()}


def item_told(item: Item, layer: Layer, permit: Permit, sheets: Sequence[Sheet], notes: Iterable[tuple[str, dict[str, str]]] = (), tables: list | None = None) -> dict:
    """One layer: what it is, where it lies, what it was made from, and what was done to it."""
    view, edition = item.view, permit.edition
    return {
        "layer": item.layer, "edition": item.edition, "title": {"zh": layer.title_zh, "en": layer.title_en},
        "product": layer.product.value, "classification": layer.classification.name.lower().replace("_", "-"),
        "form": item.form.value, "style": item.style if item.form.is_picture else None,
        "crs": view.crs, "axes": _both("package-axes-north" if is_north_first(view.crs) else "package-axes-east"),
        "bounds": list(view.bounds), "size": [view.width, view.height], "resolution": list(view.resolution), "pixels": item.pixels,
        **({} if tables is None else {"tables": tables}),
        "vertical_datum": edition.vertical_datum, "record": item.record, "granted_by": list(item.granted_by), "credits": list(item.credits),
        "lineage": {
            "sheets": [{"number": one.number, "currency": one.currency and one.currency.isoformat()} for one in sheets],
            "steps": [_both(code, **detail) for code, detail in [*_steps(item, permit), *notes]],
        },
    }


def _steps(item: Item, permit: Permit) -> Iterable[tuple[str, dict[str, str]]]:
    edition = permit.edition
    if item.form.is_vector:
        yield "package-step-features", {"crs": item.view.crs}
        return
    if item.form is Form.DELIVERED:
        yield "package-step-delivered", {}
    else:
        yield "package-step-moved", {"crs": item.view.crs}
    yield "package-step-strict" if any(part.footprint for part in permit.parts) else "package-step-cut", {}
    for cell in sorted({part.variant.degrade for part in permit.parts if part.variant.degrade}):
        yield "package-step-degraded", {"cell": f"{cell:g}"}
    if any(part.mark for part in permit.parts):
        yield "package-step-marked", {}
    if item.form is Form.JPEG or (item.form in (Form.COG, Form.GEOTIFF) and edition.product.value == "DOM" and not (edition.lossless or edition.nearest)):
        yield "package-step-jpeg", {}


def page_of(manifest: Mapping) -> str:
    """The same for people."""
    return _template().render(manifest=manifest, use=(USE_ZH, USE_EN), title=_both("package-title"))


def written(manifest: Mapping) -> bytes:
    return json.dumps(manifest, ensure_ascii=False, indent=1).encode()


def _canonical(manifest: Mapping) -> bytes:
    return json.dumps(manifest, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _both(code: str, **detail: str) -> dict[str, str]:
    return {"zh": sentence(code, detail, CHINESE), "en": sentence(code, detail, ENGLISH)}


def _agreement(agreement: Agreement | None, name: str | None, version: int | None, clause: str | None) -> dict:
    """The agency's own data stand under no agreement."""
    told = {"agreement": name, "version": version, "clause": clause}
    told |= {field: getattr(agreement, field, None) for field in ("title", "grantor", "grantee", "purpose", "contact")}
    return told | {"ends": agreement.term.end.isoformat() if agreement and agreement.term.end else None}


@cache
def _template() -> Template:
    rooms = Environment(
        loader=PackageLoader("geoserver_app", "templates/papers"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )
    return rooms.get_template("package.html")
