"""A register and a catalogue in memory, as large as design 8 asks: 200 layers, an agency with 20 grants, each with a county's border.

What is measured here runs in this process: no server, no socket, one thread.
"""

import io
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import flask
import numpy as np
import shapely
from PIL import Image
from shapes import county

from agreements.areas import area_on_the_ground
from agreements.model import GRANTABLE, Agency, Agreement, Grant, Operation, Term
from agreements.register import InMemoryRegister
from geoserver_app import create_app
from geoserver_app.decision_log import DecisionLog
from geoserver_app.features.ids import FeatureIds
from geoserver_app.gate import Asked, Gate
from geoserver_app.identity import Carriage, Presented
from geoserver_app.lane import TileServer
from geoserver_app.metering.files import FileLedgers
from geoserver_app.metering.meter import Meter
from geoserver_app.people.accounts import Accounts
from geoserver_app.people.guessing import BadKeys
from geoserver_app.settings import Settings
from geoserver_app.wiring import Services
from layers.catalogue import InMemoryCatalogue
from layers.crs import transform_bounds
from layers.features import GeoPackageStore
from layers.model import Bounds, Classification, Edition, Layer, LayerName, ProductType, View
from tiles.engine import Engine
from tiles.grids import TILE_MATRIX_SETS

LAYERS, GRANTS, VERTICES = 200, 20, 5_000
CENTRE, RADIUS = (119.0, 32.0), 0.25
AGENCY = "water"


class Office:
    def __init__(self, folder: Path):
        settings = Settings.at(folder, port=80)
        catalogue, register = InMemoryCatalogue(), InMemoryRegister()
        for number in range(LAYERS):
            catalogue.publish(*_layer(number), ())
        register.add_agency(Agency(agency_id=AGENCY, name_zh=AGENCY, name_en=AGENCY))
        self.key = register.issue_key(AGENCY)[1]
        self.agreement = _agreement()
        register.register(self.agreement, "")
        log, engine = DecisionLog(settings.decisions), Engine(settings.store, settings.cache, settings.config)
        meter = Meter(FileLedgers(settings.metering))
        gate = Gate(register, catalogue, log, base_url=settings.public_base_url, names_written=lambda edition, style: frozenset(), meter=meter)
        self.services = Services(
            settings=settings, database=None, catalogue=catalogue, register=register, engine=engine, log=log, gate=gate, meter=meter,
            tiles=TileServer(gate, engine, log), accounts=Accounts(None, b""), bad_keys=BadKeys(settings.data / "bad-keys", b""),
            features=GeoPackageStore(settings.store), feature_ids=FeatureIds(b""),
        )
        self.app: flask.Flask = create_app(settings, self.services)
        self.edition = catalogue.snapshot().find(LayerName("layer-000"))[1]

    def change_the_agreement(self) -> None:
        """Another version, with the same areas: everything that hangs on the register is worked out anew."""
        self.agreement = replace(self.agreement, version=self.agreement.version + 1)
        self.services.register.register(self.agreement, "")
        self.services.gate._standing = None                    # don't wait for its next look

    def decisions(self, times: int) -> np.ndarray:
        """Milliseconds of each decision: GetMap of one of the layers, somewhere, from key to permit and record."""
        rng, gate = np.random.default_rng(5), self.services.gate
        presented = Presented(secret=self.key, carriage=Carriage.HEADER)
        asked = [_map_asked(rng) for _ in range(times)]
        for one in asked[:50]:
            gate.permits(gate.identify(presented), [one])
        return _each(asked, lambda one: gate.permits(gate.identify(presented), [one]))

    def tile_hits(self, times: int) -> tuple[np.ndarray, np.ndarray]:
        """Milliseconds of inside tiles through the lane, and of reading the same files and nothing else."""
        grid = TILE_MATRIX_SETS["WebMercatorQuad"]
        (permit,) = self.services.gate.permits(
            self.services.gate.identify(Presented(secret=self.key, carriage=Carriage.HEADER)), [Asked(layer=LayerName("layer-000"), operation=Operation.GET_TILE)],
        )
        box = transform_bounds(Bounds(*(CENTRE[0] - 0.05, CENTRE[1] - 0.05, CENTRE[0] + 0.05, CENTRE[1] + 0.05)), "CRS:84", grid.crs)
        first_row, last_row, first_col, last_col = grid.limits(17, box)
        tiles = [(17, row, col) for row in range(first_row, last_row + 1) for col in range(first_col, last_col + 1)]
        tiles = [tile for tile in tiles if permit.area.classify(grid, *tile) == "inside"][:times]
        data, paths = _jpeg(), [Path(self.services.engine.tile_path(self.edition, "default", grid.id, *tile)) for tile in tiles]
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        environs = [_environ(f"/tiles/layer-000/{grid.id}/{z}/{col}/{row}.jpg", self.key) for z, row, col in tiles]
        statuses: list[str] = []
        ours = _each(environs, lambda environ: b"".join(self.app.wsgi_app(environ, lambda status, _: statuses.append(status))))
        if set(statuses) != {"200 OK"}:
            raise RuntimeError(f"the lane answered {set(statuses)}")
        return ours, _each(paths, Path.read_bytes)

    def capabilities(self) -> float:
        """Milliseconds of GetCapabilities (WMS 1.3.0) over everything that is granted."""
        with self.app.test_client() as client:
            began = time.perf_counter()
            answer = client.get("/ows?SERVICE=WMS&VERSION=1.3.0&REQUEST=GetCapabilities", headers={"X-API-Key": self.key})
            taken = 1000 * (time.perf_counter() - began)
        if answer.status_code != 200 or answer.data.count(b"<Name>layer-") != LAYERS:
            raise RuntimeError(f"capabilities answered {answer.status_code} with {answer.data.count(b'<Name>layer-')} layers")
        return taken


def _each(things: Sequence, work: Callable) -> np.ndarray:
    taken = np.empty(len(things))
    for at, thing in enumerate(things):
        began = time.perf_counter()
        work(thing)
        taken[at] = time.perf_counter() - began
    return 1000 * taken


def _layer(number: int) -> tuple[Layer, Edition]:
    name = f"layer-{number:03}"
    extent = shapely.box(CENTRE[0] - 0.6, CENTRE[1] - 0.6, CENTRE[0] + 0.6, CENTRE[1] + 0.6)
    edition = Edition(
        edition_id=0, name="2011", layer=name, product=ProductType.DOM, currency=(None, None), generation=1, folder=f"{name}/2011", crs="EPSG:4549",
        extent=extent, resolution=1.0, sheet_count=1,
    )
    layer = Layer(
        name=name, title_zh=name, title_en=name, abstract="", product=ProductType.DOM, owner="bureau", classification=Classification.INTERNAL,
        attribution="", editions=(edition,),
    )
    return layer, edition


def _agreement() -> Agreement:
    layers = frozenset(f"layer-{number:03}" for number in range(LAYERS))
    grants = tuple(
        Grant(
            clause=f"3.{number + 1}", layers=layers, operations=GRANTABLE,
            area=area_on_the_ground(county((CENTRE[0] + 0.01 * number, CENTRE[1]), RADIUS, VERTICES, seed=number), f"area {number + 1}"),
        )
        for number in range(GRANTS)
    )
    return Agreement(agreement_id="AG-BENCH", version=1, title="bench", grantor="bureau", grantee=AGENCY, term=Term(), grants=grants)


def _map_asked(rng: np.random.Generator) -> Asked:
    lon, lat = CENTRE[0] + rng.uniform(-0.3, 0.3), CENTRE[1] + rng.uniform(-0.3, 0.3)
    x, y = lon * 111_319.49, np.degrees(np.log(np.tan(np.pi / 4 + np.radians(lat) / 2))) * 111_319.49
    view = View(crs="EPSG:3857", bounds=Bounds(x - 300, y - 300, x + 300, y + 300), width=512, height=512)
    layer = LayerName(f"layer-{rng.integers(LAYERS):03}")
    return Asked(layer=layer, operation=Operation.GET_MAP, view=view, style="default", format="image/jpeg", crs="EPSG:3857")


def _jpeg() -> bytes:
    noise = np.random.default_rng(1).integers(60, 190, (64, 64, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).resize((256, 256), Image.Resampling.BICUBIC).save(out, "JPEG", quality=90)
    return out.getvalue()


def _environ(path: str, key: str) -> dict:
    return {
        "REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": "", "HTTP_X_API_KEY": key, "SERVER_NAME": "localhost", "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.url_scheme": "http", "wsgi.version": (1, 0), "wsgi.input": io.BytesIO(), "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True, "wsgi.multiprocess": True, "wsgi.run_once": False,
    }
