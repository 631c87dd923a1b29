"""A house: the whole service over a folder of its own, to which a test brings layers, agencies and grants."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
import rasterio
import shapely
from rasterio.transform import from_origin

from agreements.areas import area_of, area_on_the_ground
from agreements.model import BUREAU, GRANTABLE, Agency, Agreement, Grant, Term
from geoserver_app import create_app
from geoserver_app.clock import SHANGHAI
from geoserver_app.database import migrate
from geoserver_app.ingesting import ingest
from geoserver_app.settings import Settings
from geoserver_app.wiring import Services, wire

SINCE = datetime(2020, 1, 1, tzinfo=SHANGHAI)


@dataclass
class House:
    """The service as an operator has it, with short words for what tests do."""

    folder: Path
    services: Services
    keys: dict[str, str] = field(default_factory=dict)
    _agreements: int = 0

    @property
    def app(self):
        if not hasattr(self, "_app"):
            self._app = create_app(self.services.settings, self.services)
            self._app.testing = True
        return self._app

    def look_again(self) -> None:
        """Don't wait for the gate's next look."""
        self.services.gate._standing = None

    def agency(self, name: str) -> str:
        """Register an agency; its key."""
        self.services.register.add_agency(Agency(agency_id=name, name_zh=f"{name}厅", name_en=f"{name} department"))
        self.keys[name] = self.services.register.issue_key(name, label="test")[1]
        self.look_again()
        return self.keys[name]

    def grant(
        self, agency: str, *layers: str, area=None, operations=GRANTABLE, grantor: str = BUREAU, patient: bool = False, **terms,
    ) -> Agreement:
        """An agreement with one grant of `layers` to `agency`, everywhere unless `area` (CRS84) says where."""
        return self.agree(agency, self.clause(*layers, area=area, operations=operations, **terms), grantor=grantor, patient=patient)

    @staticmethod
    def clause(*layers: str, area=None, operations=GRANTABLE, clause: str = "3.1", **terms) -> Grant:
        ground = area_of({"everywhere": True}, None) if area is None else area_on_the_ground(shapely.normalize(area), "test")
        return Grant(
            clause=clause, layers=frozenset(layers), operations=frozenset(operations),
            area=ground, **terms,
        )

    def agree(self, agency: str, *grants: Grant, grantor: str = BUREAU, patient: bool = False, **fields) -> Agreement:
        """Put grants in force; `patient` leaves it to the gate to notice. `fields` are further ones of the agreement."""
        self._agreements += 1
        agreement = Agreement(
            **{
                "agreement_id": f"AG-TEST-{self._agreements:03}", "version": 1, "title": "test", "grantor": grantor, "grantee": agency,
                "term": Term(start=SINCE), "grants": grants, "contact": "data@bureau.test", **fields,
            }
        )
        self.services.register.register(agreement, "")
        if not patient:
            self.look_again()
        return agreement

    def raster(self, name: str, bands: np.ndarray, left: float, top: float, step: float, *, crs="EPSG:4549", product="DOM", nodata=None, **options):
        """Publish an array (band, row, col) as a layer of one sheet."""
        path = self.folder / "delivered" / f"{name}.tif"
        path.parent.mkdir(exist_ok=True)
        with rasterio.open(
            path, "w", driver="GTiff", count=len(bands), height=bands.shape[1], width=bands.shape[2], dtype=bands.dtype, crs=crs,
            transform=from_origin(left, top, step, step), nodata=nodata, tiled=True, compress="deflate",
        ) as out:
            out.write(bands)
        return self.layer(name, path, product=product, **options)

    def layer(self, name: str, *paths: Path, product: str, edition: str = "2011", **options):
        published = ingest(self.services.settings, product=product, edition=edition, name=name, paths=paths, workers=1, **options)
        self.look_again()
        return published

    def client(self):
        return self.app.test_client()

    def get(self, path: str, agency: str | None = None, **headers):
        """GET with the agency's key in a header."""
        if agency:
            headers["X-API-Key"] = self.keys[agency]
        return self.client().get(path, headers=headers)


def build_house(folder: Path, **others) -> House:
    settings = Settings.at(folder / "var", public_base_url="http://maps.test", recheck_seconds=0.2, **others)
    migrate(settings)
    house = House(folder, wire(settings))
    house.agency(BUREAU)
    return house
