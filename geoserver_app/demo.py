"""`make run`: a synthetic county, 22 agencies with agreements that differ, and where to find them. Built once, each step resumable."""

import json
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from ruamel.yaml import YAML

from agreements.model import BUREAU
from agreements.register import SqlRegister
from geoserver_app.database import connect, migrate
from geoserver_app.demo_keys import demo_keys, keep_demo_keys
from geoserver_app.demo_moving import CARS, CARS_EVERY, LEVELS, LEVELS_EVERY, Moving, cars, water_levels
from geoserver_app.demo_overlays import add_live_layer, add_overlay, missing_overlays
from geoserver_app.demo_people import FILE as PEOPLE_FILE
from geoserver_app.demo_people import add_demo_people
from geoserver_app.gate import Gate
from geoserver_app.identity import Carriage, Presented
from geoserver_app.ingesting import ingest
from geoserver_app.model_county import county_files
from geoserver_app.samples import add_parties, load_samples, sample_parties
from geoserver_app.settings import Settings
from geoserver_app.sheets.indexing import has_index, make_index
from layers.catalogue import SqlCatalogue
from layers.model import LayerName
from tiles.engine import Engine

DESCRIPTION = "demo.json"
COUNTY = "demo-data"


def build_demo(settings: Settings, console: Console) -> dict:
    """Whatever of the demo is not there yet; returns what `var/demo.json` holds, and the passwords of people who were added just now."""
    migrate(settings)
    database = connect(settings.database_url)
    catalogue, register = SqlCatalogue(database), SqlRegister(database)
    demo = YAML(typ="safe").load((settings.config / "demo" / "demo.yaml").read_text("utf-8"))
    _add_missing_layers(settings, catalogue, demo, console)
    for layer in demo["live"]:
        add_live_layer(settings, catalogue, layer)
    for name in demo["sheet_indexes"]:
        if not has_index(catalogue, name):
            make_index(settings, name)
    parties = [*demo["agencies"], *sample_parties(settings.config)]
    add_parties(register, parties)
    _issue_keys(settings, register, parties)
    load_samples(catalogue, register, settings.config)
    passwords = add_demo_people(settings, database, demo["people"])
    description = describe(settings, catalogue, register)
    _write(settings.data / DESCRIPTION, description)
    database.dispose()
    return description | {"people": [{**one, "password": passwords[one["login"]]} for one in demo["people"] if one["login"] in passwords]}


def _add_missing_layers(settings: Settings, catalogue: SqlCatalogue, demo: Mapping, console: Console) -> None:
    known = catalogue.snapshot()
    missing = [layer for layer in demo["layers"] if known.find(LayerName(layer["name"], layer["edition"])) is None]
    overlays = missing_overlays(catalogue, demo["overlays"])
    if not missing and not overlays:
        return
    from geoserver_app.model_county import write_county
    from layers.divisions import import_divisions

    console.print("building the demo: a synthetic county of twelve sheets, about a minute")
    files = write_county(settings.data / COUNTY, progress=lambda text: console.print(f"  {text}"))
    import_divisions(catalogue, files.divisions, vintage="2011", code_field="PAC", name_field="NAME")
    for layer in missing:
        ingest(settings, paths=getattr(files, layer["files"]), console=console, **{k: v for k, v in layer.items() if k != "files"})
    for layer in overlays:
        add_overlay(settings, catalogue, getattr(files, layer["files"]), layer, console)


def start_what_moves(settings: Settings) -> None:
    """Cars drive and waters rise for as long as this process lives."""
    catalogue, files = SqlCatalogue(connect(settings.database_url)), county_files(settings.data / COUNTY)
    Moving(catalogue, settings.store, CARS, cars(files.patrol_beats), CARS_EVERY).start()
    Moving(catalogue, settings.store, LEVELS, water_levels(files.gauge_stations), LEVELS_EVERY).start()


def _issue_keys(settings: Settings, register: SqlRegister, parties: list[Mapping]) -> None:
    keys = demo_keys(settings.data)
    for party in parties:
        if party["id"] not in keys:
            keys[party["id"]] = register.issue_key(party["id"], label="demo", app=party.get("app", ""), purpose=party.get("purpose", ""))[1]
            keep_demo_keys(settings.data, keys)


def describe(settings: Settings, catalogue: SqlCatalogue, register: SqlRegister) -> dict:
    """What scripts read: the address, the bureau's own key, and each agency with its key, layers and bounds (degrees)."""
    engine = Engine(settings.store, settings.cache, settings.config)
    gate = Gate(register, catalogue, _NoRecord(), base_url=settings.public_base_url, names_written=engine.names_written)
    keys = demo_keys(settings.data)
    callers = {name: gate.identify(Presented(secret=key, carriage=Carriage.HEADER)) for name, key in keys.items()}
    agencies = []
    for name, caller in callers.items():
        if name == BUREAU:
            continue
        seen = gate.visible(caller, record=None)
        boxes = [entry.bounds for entry in seen]
        agencies.append({
            "id": name, "name": caller.agency.name_zh, "name_en": caller.agency.name_en, "key": keys[name],
            "layers": list(dict.fromkeys(entry.layer.name for entry in seen)),
            "bounds": [min(b.left for b in boxes), min(b.bottom for b in boxes), max(b.right for b in boxes), max(b.top for b in boxes)] if boxes else None,
        })
    return {"base_url": settings.public_base_url, "admin": {"id": BUREAU, "key": keys[BUREAU]}, "agencies": agencies}


class _NoRecord:
    """The demo's own look at what it built is no request."""

    def write(self, event: dict) -> str:
        return ""


SHOWN = 3
"""Agencies whose addresses are printed; the others are in the viewer and in demo.json."""


def print_addresses(description: dict, console: Console) -> None:
    base, agencies = description["base_url"], description["agencies"]
    console.print(f"\n[bold]{base}/[/]  the viewer 浏览器查看\n\nto paste into QGIS 粘贴到 QGIS:")
    for agency in agencies[:SHOWN]:
        console.print(f"  {agency['name']} {agency['name_en']}: {', '.join(agency['layers'])}")
        console.print(f"    WMS   {base}/ows?key={agency['key']}", soft_wrap=True, highlight=False)
        console.print(f"    WMTS  {base}/wmts?key={agency['key']}", soft_wrap=True, highlight=False)
    _print_people(description, console)
    console.print(f"\nkeys and bounds of all {len(agencies)} agencies, for scripts: demo.json in the data folder\n")


def _print_people(description: Mapping, console: Console) -> None:
    """Whom to sign in as; the passwords only when they are made."""
    console.print(f"\n[bold]{description['base_url']}/console[/]  agreements for people 协议管理; passwords: {PEOPLE_FILE} in the data folder", soft_wrap=True)
    for one in description.get("people", ()):
        console.print(f"  {one['login']:10} {one['password']}  {one['name']}", soft_wrap=True, highlight=False, markup=False)


def _write(path: Path, content: dict) -> None:
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(content, ensure_ascii=False, indent=1), "utf-8")
    beside.replace(path)
