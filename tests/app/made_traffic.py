"""Traffic as it could have been: records of requests under the sample agreements, decided by the gate and written as gate and lane write them."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import shapely

from agreements.decision import decide
from agreements.model import Agency, Operation
from agreements.register import InMemoryRegister
from geoserver_app.clock import SHANGHAI
from geoserver_app.decision_log import DecisionLog
from geoserver_app.gate import Asked, Gate, Ruling, asker_event, layer_event
from geoserver_app.identity import Caller, Carriage, Presented
from geoserver_app.model_county.plan import COUNTY_CODE, COUNTY_ZH, TOWNS
from geoserver_app.samples import load_samples
from geoserver_app.settings import ROOT
from layers.catalogue import Division, InMemoryCatalogue
from layers.model import Bounds, Classification, Edition, Layer, LayerName, ProductType, View
from layers.sheets import sheet_frame
from tiles.grids import TILE_MATRIX_SETS

COUNTY = shapely.union_all([sheet_frame(f"I50G{row:03}{column:03}") for row in (93, 94, 95) for column in (77, 78, 79, 80)]).buffer(-0.006)
SINCE, UNTIL = datetime(2026, 4, 1, tzinfo=SHANGHAI), datetime(2026, 10, 1, tzinfo=SHANGHAI)

HOURS = (1, 1, 1, 1, 1, 2, 4, 8, 22, 30, 32, 26, 12, 18, 30, 32, 28, 20, 9, 6, 5, 4, 3, 2)
"""Weight of each hour of a working day."""

WEIGHTS = {"police": 30, "water": 22, "transport": 16, "highway-design": 6, "city-a": 9, "land": 8, "fire": 5, "civil": 3}
"""Of the agencies that ask; every other sample agency weighs 1."""


def town_place(number: int) -> tuple[float, float]:
    """Longitude, latitude of a town of the model county."""
    west, south = COUNTY.bounds[:2]
    return west + TOWNS[number].x / 94.0, south + TOWNS[number].y / 111.0


def divisions() -> list[Division]:
    """The county and its towns, each the ground that is nearest to it."""
    points = shapely.MultiPoint([town_place(number) for number in range(len(TOWNS))])
    cells = list(shapely.voronoi_polygons(points, extend_to=COUNTY).geoms)
    towns = [
        Division(vintage="2011", code=town.code, name=town.name_zh, level="town", geometry=cell.intersection(COUNTY))
        for number, town in enumerate(TOWNS) for cell in cells if cell.contains(points.geoms[number])
    ]
    return [Division(vintage="2011", code=COUNTY_CODE, name=COUNTY_ZH, level="county", geometry=COUNTY), *towns]


def _layers() -> Iterator[tuple[Layer, Edition]]:
    held = {
        "dom": (ProductType.DOM, "bureau", Classification.INTERNAL, ("2006", "2011")), "dem": (ProductType.DEM, "bureau", Classification.SECRET, ("2011",)),
        "dlg": (ProductType.DLG, "bureau", Classification.SECRET, ("2011",)),
        "water-gauges": (ProductType.OVERLAY, "water", Classification.INTERNAL, ("2011",)),
    }
    for name, (product, owner, classification, editions) in held.items():
        for edition in editions:
            yield Layer(
                name=name, title_zh=name, title_en=name, abstract="", product=product, owner=owner, classification=classification, attribution="",
                editions=(),
            ), Edition(
                edition_id=0, name=edition, layer=name, product=product, currency=(None, None), generation=1, folder=f"{name}/{edition}",
                crs="EPSG:4549", extent=COUNTY, resolution=1.0, sheet_count=12,
            )


@dataclass
class Traffic:
    """A catalogue, a register with the sample agreements, and what their parties ask."""

    folder: Path
    catalogue: InMemoryCatalogue = field(default_factory=InMemoryCatalogue)
    now: datetime = datetime(2026, 1, 5, 9, tzinfo=SHANGHAI)
    callers: dict[str, list[Caller]] = field(default_factory=dict)
    _rulings: dict = field(default_factory=dict)

    def __post_init__(self):
        self.register = InMemoryRegister(lambda: self.now)
        for layer, edition in _layers():
            self.catalogue.publish(layer, edition, ())
        self.catalogue.put_divisions(divisions())
        self.register.add_agency(Agency(agency_id="bureau", name_zh="样例省测绘局", name_en="Surveying Bureau (sample)"))
        self.agreements = {one.agreement_id: one for one in load_samples(self.catalogue, self.register, ROOT / "config")}
        self.log = DecisionLog(self.folder)
        self.gate = Gate(
            self.register, self.catalogue, self.log, base_url="http://maps.test", names_written=lambda edition, style: frozenset(), recheck=3600,
        )
        purposes = {one.grantee: (sorted(one.record.use.purposes) or [""])[0] for one in self.agreements.values()}
        for agency in self.register.agencies():
            self.callers[agency.agency_id] = [
                Caller(
                    agency=agency, key_id=f"k_{agency.agency_id}{number}", presented=Presented(secret="", carriage=Carriage.HEADER),
                    base_url="", app=app, purpose=purposes.get(agency.agency_id, ""),
                ) for number, app in enumerate(("office", "field"))
            ]

    def write(self, number: int, *, since: datetime = SINCE, until: datetime = UNTIL, seed: int = 1) -> None:
        """That many records of decisions, in order of time."""
        chance, weights = random.Random(seed), {name: WEIGHTS.get(name, 1) for name in self.callers if name != "bureau"}
        names, shares = list(weights), list(weights.values())
        for moment in self._moments(chance, number, since, until):
            agency = chance.choices(names, shares)[0]
            caller = self.callers[agency][chance.random() < 0.3]
            if (draw := chance.random()) < 0.72:
                self._tile(chance, caller, moment)
            elif draw < 0.95:
                self._map(chance, caller, moment)
            else:
                self._feature_info(chance, caller, moment)

    def _moments(self, chance: random.Random, number: int, since: datetime, until: datetime) -> list[float]:
        days = [since + timedelta(days=day) for day in range((until - since).days)]
        busy = [(0.25 if day.weekday() >= 5 else 1.0) * (1.6 if day.month in (6, 7, 8) else 1.0) for day in days]
        chosen = zip(chance.choices(days, busy, k=number), chance.choices(range(24), HOURS, k=number), strict=True)
        return sorted(day.timestamp() + hour * 3600 + chance.random() * 3600 for day, hour in chosen)

    def _place(self, chance: random.Random, spread: float = 0.02) -> tuple[float, float]:
        longitude, latitude = town_place(chance.choices(range(len(TOWNS)), [9, 4, 3, 2, 2, 2, 2, 4])[0])
        return chance.gauss(longitude, spread), chance.gauss(latitude, spread * 0.8)

    def _layer(self, chance: random.Random) -> LayerName:
        return LayerName.parse(chance.choices(["dom", "dlg", "dem", "dom@2006", "water-gauges", "no-such"], [50, 30, 8, 5, 5, 1])[0])

    def _tile(self, chance: random.Random, caller: Caller, moment: float) -> None:
        tms = TILE_MATRIX_SETS[chance.choices(["WebMercatorQuad", "tdt_c", "jiangsu_gk120"], [70, 20, 10])[0]]
        z = chance.choices([12, 13, 14, 15, 16, 17], [1, 2, 4, 8, 10, 6])[0] if tms.id != "jiangsu_gk120" else chance.choice([8, 9, 10])
        row, col = tile_at(tms, z, *self._place(chance))
        asked = Asked(
            layer=self._layer(chance), operation=Operation.GET_TILE, style="default", format=chance.choice(["image/png", "image/jpeg"]), crs=tms.crs,
            view=tms.view(z, row, col),
        )
        ruling = self._ruling(caller, asked, (tms.id, z), moment, is_spent=chance.random() < 0.004)
        self.log.write({
            "event": "overlay.decided", "agency": caller.agency.agency_id, "epoch": 1, **asker_event(caller), **layer_event(asked, ruling),
            "tms": tms.id, "key": caller.key_id, "tile": [z, row, col], **self._charged(ruling, 65_536, chance.randint(4_000, 60_000)),
        }, moment)

    def _map(self, chance: random.Random, caller: Caller, moment: float) -> None:
        longitude, latitude = self._place(chance)
        half = chance.choice([0.002, 0.005, 0.01, 0.04])
        crs = chance.choice(["EPSG:4490", "EPSG:3857", "EPSG:4549"])
        from layers.crs import transform_bounds

        box = transform_bounds(Bounds(longitude - half, latitude - half, longitude + half, latitude + half), "CRS:84", crs)
        view = View(crs=crs, bounds=box, width=800, height=800)
        operation = chance.choices([Operation.GET_MAP, Operation.DOWNLOAD], [30, 1])[0]
        names = {self._layer(chance) for _ in range(chance.choice([1, 1, 1, 2, 3]))}
        asked = [
            Asked(layer=name, operation=operation, view=view, format="image/png", crs=crs) for name in sorted(names, key=str)
        ]
        self._decided(caller, asked, view, (crs, half), moment, pixels=view.width * view.height, content=chance.randint(90_000, 900_000))

    def _feature_info(self, chance: random.Random, caller: Caller, moment: float) -> None:
        longitude, latitude = self._place(chance)
        view = View(crs="CRS:84", bounds=Bounds(longitude - 0.005, latitude - 0.005, longitude + 0.005, latitude + 0.005), width=500, height=500)
        asked = [Asked(layer=self._layer(chance), operation=Operation.GET_FEATURE_INFO, view=view, format="application/json", crs="CRS:84")]
        self._decided(caller, asked, view, "info", moment, features=chance.randint(1, 6), content=chance.randint(300, 4000))

    def _charged(self, ruling: Ruling, pixels: int, content: int, features: int = 0) -> dict:
        """What is counted on the quotas of the agreements that let it out."""
        limited = {name for piece in ruling.decision.pieces for name in piece.charged if name in self.agreements and self.agreements[name].quota}
        counts = {"requests": 1, "pixels": pixels, "features": features, "bytes": content}
        held = {name: {what: count for what, count in counts.items() if count} for name in sorted(limited)}
        return {"charged": held} if held and not ruling.is_denied else {}

    def _decided(self, caller: Caller, asked: list[Asked], view: View, scale, moment: float, *, pixels=0, features=0, content=0) -> None:
        rulings = [self._ruling(caller, one, scale, moment) for one in asked]
        is_answered = not any(ruling.is_denied for ruling in rulings)
        layers = [layer_event(one, ruling) for one, ruling in zip(asked, rulings, strict=True)]
        layers = [one | (self._charged(ruling, pixels, content, features) if is_answered else {}) for one, ruling in zip(layers, rulings, strict=True)]
        self.log.write({
            "event": "overlay.decided", "agency": caller.agency.agency_id, "key": caller.key_id, "operation": str(asked[0].operation), "epoch": 1,
            **asker_event(caller), "layers": layers, "crs": view.crs, "bounds": [round(value, 7) for value in view.bounds], "size": [view.width, view.height],
        }, moment)

    def _ruling(self, caller: Caller, asked: Asked, scale, moment: float, *, is_spent: bool = False) -> Ruling:
        """As the gate decides; remembered, since it is the same for all places of one scale."""
        key = (caller.terms, asked.layer, asked.operation, asked.format, asked.style, asked.crs, scale, is_spent)
        if key not in self._rulings:
            at = datetime.fromtimestamp(moment, SHANGHAI)
            ruling = self.gate.decide(self.gate.standing(), caller, asked, at)
            if is_spent and ruling.request is not None and not ruling.is_denied:
                spent = replace(ruling.request, exhausted=frozenset(self.agreements))
                held = self.gate.standing().register.agreements.get(caller.agency.agency_id, ())
                ruling = replace(ruling, request=spent, decision=decide(spent, held))
            self._rulings[key] = ruling
        return self._rulings[key]


def tile_at(tms, z: int, longitude: float, latitude: float) -> tuple[int, int]:
    """Row and column of the tile that holds a place."""
    from layers.crs import transform_bounds

    x, y = transform_bounds(Bounds(longitude, latitude, longitude + 1e-9, latitude + 1e-9), "CRS:84", tms.crs)[:2]
    row, _, col, _ = tms.limits(z, Bounds(x, y, x, y))
    return row, col
