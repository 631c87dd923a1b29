"""The trial with real data: every layer of ../shared/data through `geoshare`, as a data manager types it, then served, and looked at.

    .venv/bin/python bench/real_data.py                 takes everything in, serves it, writes the pictures of docs/real-data.md
    .venv/bin/python bench/real_data.py --look FOLDER   other pictures too, of data whose licence is not for publishing

The instance lies in var/real-data and is kept: a second run takes in nothing twice. Nothing of the data is copied into the project but
small pictures, each of data that may be shown, with its credit in docs/real-data.md.
"""

import argparse
import io
import json
import os
import shlex
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from layers.crs import transform_bounds, transformer  # noqa: E402
from layers.model import Bounds  # noqa: E402
from tiles.grids import TILE_MATRIX_SETS  # noqa: E402

DATA = ROOT.parent / "shared" / "data"
INSTANCE = ROOT / "var" / "real-data"
PICTURES = ROOT / "docs" / "pictures"
GEOSHARE = Path(sys.executable).parent / "geoshare"
LARGEST = 150_000
"""Bytes of a picture in the documents."""

LAYERS = """
--product DOM --edition 2010 --name swellendam-dom swellendam/ortho_3320D_2010_315_rgba.tif swellendam/ortho_3420B_2010_328_rgba.tif
--product DEM --edition srtm --name swellendam-dem --nodata 0 swellendam/srtm_dem_3s_4326.tif
--product DLG --edition osm --name swellendam-dlg swellendam/swellendam_osm_4326.gpkg
--product DLG --edition 2010 --name swellendam-cadastre swellendam/swellendam_cadastre_utm33s.gpkg
--product DLG --edition 2024 --name jiangsu-admin jiangsu/admin/jiangsu_admin_tianditu_cgcs2000.gpkg
--product DEM --edition 30s --name jiangsu-dem jiangsu/dem/jiangsu_dem_30arcsec.tif
--product DLG --edition 4m --name jiangsu-hydro jiangsu/hydro/jiangsu_hydro_ngcc_1to4m.gpkg
--product DLG --edition 10m --name jiangsu-ne jiangsu/hydro/jiangsu_natural_earth_10m.gpkg
--product OVERLAY --edition osm --name taihu jiangsu/hydro/taihu_lake_osm.geojson
--product DEM --edition 30m --name utah-dem --nodata -32767 utah/provo_dem_30m_26912.tif
--product DOM --edition 2m --name utah-dom utah/provo_ortho_2m_rgba_26912.tif
--product DLG --edition 2004 --name utah-dlg utah/utah_saltlake_provo_26912.gpkg
--product DEM --edition 1s --name bangkok-dem bangkok/khlongtoei_dem_1s.tif
--product DOM --edition s2 --name bangkok-dom bangkok/khlongtoei_sentinel2_rgb_10m_32647.tif
--product OVERLAY --edition osm --name bangkok-water bangkok/khlongtoei_water_overture.geojson
--product DEM --edition 2m --name dc-dtm dc_lidar/dtm.tif
--product DEM --edition 2m --name dc-dsm dc_lidar/dsm.tif
--product DLG --edition 2m --name dc-buildings dc_lidar/buildings.geojson
--product DOM --edition drg --name itasca-drg --crs EPSG:26915 --nearest itasca/usgs_drg_1926.tif itasca/usgs_drg_1942.tif
--product DLG --edition dnr --name itasca-dlg itasca/itasca_26915.gpkg
--product DOM --edition 2009 --name naip chips/naip_nd_2009_rgbn_5m_26914.tif
--product DOM --edition 2020 --name naip chips/naip_nd_2020_rgbn_5m_26914.tif
--product DOM --edition modis --name rmnp-dom rmnp/rmnp_rgb.tif
--product DEM --edition wgs84 --name rmnp-dem rmnp/rmnp_dem.tif
--product DLG --edition 1.3 --name cite cite_wms13/shapefile
""".strip().splitlines()
"""What is typed after `geoshare layer add`; the files are relative to the trial data."""

REJECTED = """
--product DEM --edition 30m --name bad utah/provo_dem_30m_26912.tif
--product DOM --edition drg --name bad itasca/usgs_drg_1926.tif itasca/usgs_drg_1942.tif
--product DOM --edition 2m --name bad dc_lidar/dtm.tif
--product DLG --edition x --name bad jiangsu/admin/jiangsu_city_echarts_encoded_raw.json
--product DEM --edition x --name bad swellendam/swellendam_osm_4326.gpkg
""".strip().splitlines()

AGREEMENTS = {
    "guest": {"layers": sorted({line.split("--name ")[1].split()[0] for line in LAYERS}), "area": "everywhere"},
    "parish": {"layers": ["naip"], "area": {"geojson": {"type": "Polygon", "coordinates": [
        [[-99.175, 47.012], [-99.145, 47.024], [-99.128, 47.008], [-99.150, 47.004], [-99.165, 47.0015], [-99.175, 47.012]],
        [[-99.152, 47.015], [-99.146, 47.015], [-99.146, 47.011], [-99.152, 47.011], [-99.152, 47.015]],
    ]}}},
    "lake": {"layers": ["taihu", "jiangsu-ne"], "area": {"sheets": ["H50D003012", "H51D003001"]}},
    "suzhou": {"layers": ["jiangsu-hydro", "jiangsu-dem"], "area": {"divisions": ["320500"]}},
}
"""Agency -> what an agreement grants it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """A map to ask for: `bounds` in `crs`, x before y."""

    name: str
    agency: str
    layers: str
    bounds: tuple[float, float, float, float]
    crs: str = "CRS:84"
    styles: str = ""
    width: int = 420
    height: int = 300
    media_type: str = "image/png"

    def path(self) -> str:
        bounds = self.bounds
        if self.crs not in ("CRS:84", "EPSG:3857"):
            bounds = (bounds[1], bounds[0], bounds[3], bounds[2])       # WMS 1.3.0: north first
        return "/ows?" + urlencode({
            "SERVICE": "WMS", "VERSION": "1.3.0", "REQUEST": "GetMap", "LAYERS": self.layers, "STYLES": self.styles, "CRS": self.crs,
            "BBOX": ",".join(map(repr, bounds)), "WIDTH": self.width, "HEIGHT": self.height, "FORMAT": self.media_type,
            "TRANSPARENT": str(self.media_type == "image/png").upper(),
        })


SHOWN = (
    Shot(name="swellendam-relief", agency="guest", layers="swellendam-dem,swellendam-dlg", styles="shaded-relief,topographic",
         bounds=(20.36, -34.07, 20.52, -33.95)),
    Shot(name="swellendam-slope", agency="guest", layers="swellendam-dem", styles="slope", bounds=(20.1, -34.2, 20.8, -33.78)),
    Shot(name="swellendam-town", agency="guest", layers="swellendam-dlg", bounds=(2273700, -4034300, 2276300, -4032440), crs="EPSG:3857"),
    Shot(name="utah-dom", agency="guest", layers="utah-dom", bounds=(-12428700, 4893050, -12427050, 4893930), crs="EPSG:3857", width=600, height=320),
    Shot(name="dc-lidar", agency="guest", layers="dc-dsm,dc-buildings", styles="shaded-relief,topographic",
         bounds=(-77.0551, 38.8082, -77.0489, 38.8128), media_type="image/jpeg"),
    Shot(name="naip-2009", agency="guest", layers="naip@2009", bounds=(-99.16, 47.005, -99.14, 47.019), media_type="image/jpeg", width=300, height=300),
    Shot(name="naip-2020", agency="guest", layers="naip", bounds=(-99.16, 47.005, -99.14, 47.019), media_type="image/jpeg", width=300, height=300),
    Shot(name="naip-cut", agency="parish", layers="naip", bounds=(-99.178, 47.0, -99.125, 47.026), width=420, height=302),
    Shot(name="taihu-sheets", agency="lake", layers="taihu,jiangsu-ne", bounds=(119.45, 30.95, 120.55, 31.38), crs="EPSG:4490", width=500, height=195),
    Shot(name="rmnp", agency="guest", layers="rmnp-dom,rmnp-dem", styles=",hillshade", bounds=(-106.1, 40.0, -105.3, 40.65), media_type="image/jpeg"),
)
"""In docs/real-data.md: of data that may be shown, with its credit there."""

LOOKED_AT = (
    Shot(name="swellendam-seam", agency="guest", layers="swellendam-dom", bounds=(20.505, -34.004, 20.515, -33.996), width=800, height=640),
    Shot(name="swellendam-dom", agency="guest", layers="swellendam-dom", bounds=(2281800, -4039000, 2285200, -4025000), crs="EPSG:3857", width=260, height=1070),
    Shot(name="swellendam-cadastre", agency="guest", layers="swellendam-cadastre", bounds=(20.2, -34.2, 20.7, -33.85), width=800, height=600),
    Shot(name="jiangsu-dem", agency="guest", layers="jiangsu-dem,jiangsu-admin", styles="shaded-relief,topographic",
         bounds=(115.9, 30.2, 122.4, 35.6), crs="EPSG:4490", width=780, height=648),
    Shot(name="jiangsu-gk", agency="guest", layers="jiangsu-dem,jiangsu-hydro", styles="relief,topographic",
         bounds=(400000, 3400000, 900000, 3800000), crs="EPSG:4549", width=800, height=640),
    Shot(name="suzhou", agency="suzhou", layers="jiangsu-dem,jiangsu-hydro", styles="shaded-relief,topographic", bounds=(119.6, 30.6, 121.5, 32.2), width=800, height=680),
    Shot(name="bangkok", agency="guest", layers="bangkok-dom,bangkok-water", bounds=(100.54, 13.69, 100.61, 13.75), width=800, height=680),
    Shot(name="bangkok-dem", agency="guest", layers="bangkok-dem", styles="relief", bounds=(100.54, 13.69, 100.61, 13.75), width=400, height=340),
    Shot(name="itasca-seam", agency="guest", layers="itasca-drg", bounds=(-94.1, 47.42, -93.9, 47.56), width=800, height=600),
    Shot(name="itasca-dlg", agency="guest", layers="itasca-drg,itasca-dlg", bounds=(-95.5, 46.9, -92.0, 48.1), width=900, height=460),
    Shot(name="utah-dlg", agency="guest", layers="utah-dem,utah-dlg", styles="hillshade,topographic", bounds=(-112.1, 39.95, -111.4, 40.65), width=800, height=800),
    Shot(name="utah-dem", agency="guest", layers="utah-dem", styles="relief", bounds=(-111.66, 39.99, -111.48, 40.14), width=500, height=500),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--look", type=Path, help="a folder for pictures that are only to be looked at")
    chosen = parser.parse_args()
    if not DATA.is_dir():
        sys.exit("real_data.py: no trial data: ../shared/data is absent on this machine")
    took = take_in()
    keys = share()
    with served() as base:
        pictures = [(shot, PICTURES) for shot in SHOWN] + [(shot, chosen.look) for shot in LOOKED_AT if chosen.look]
        for shot, folder in pictures:
            print(f"{shot.name}: {write(fetch(base + shot.path(), keys[shot.agency]), folder, shot)}")
        for told in tiles(base, keys["guest"]):
            print(told)
    print(f"{len(LAYERS)} editions taken in in {took:.0f} s")


def geoshare(*arguments: str, may_fail: bool = False) -> str:
    """Runs a command, shows it as it would be typed, and returns what it prints."""
    print(f"$ geoshare {shlex.join(shown(argument) for argument in arguments)}")
    done = subprocess.run([GEOSHARE, *arguments], capture_output=True, text=True, env=environment(), check=False)
    print((done.stdout if not done.returncode else f"{done.stderr.strip()}\n(exit code {done.returncode})\n"), end="", flush=True)
    if done.returncode and not may_fail:
        sys.exit(f"real_data.py: `geoshare {arguments[0]} {arguments[1]}` failed")
    return done.stdout.strip()


def shown(argument: str) -> str:
    return argument.removeprefix(f"{DATA}/").removeprefix(f"{INSTANCE}/")


def environment() -> dict[str, str]:
    return os.environ | {"GEOSHARE_DATA": str(INSTANCE)}


def take_in() -> float:
    """Every layer into the instance; how many seconds it took."""
    began = time.monotonic()
    for line in LAYERS:
        geoshare("layer", "add", *placed(line))
    took = time.monotonic() - began
    for line in REJECTED:
        geoshare("layer", "add", *placed(line), may_fail=True)
    geoshare("division", "import", "--vintage", "2024", str(DATA / "jiangsu/admin/jiangsu_admin_tianditu_cgcs2000.gpkg"))
    return took


def placed(line: str) -> list[str]:
    return [str(DATA / word) if "/" in word else word for word in line.split()]


def share() -> dict[str, str]:
    """Agencies with their keys, and an agreement each."""
    keys = {}
    for number, (agency, grant) in enumerate(AGREEMENTS.items(), 1):
        geoshare("agency", "add", agency, "--name-zh", agency, "--name-en", agency)
        document = INSTANCE / f"{agency}.json"
        document.write_text(json.dumps(agreement(number, agency, grant)), encoding="utf-8")
        geoshare("agreement", "register", str(document))
        keys[agency] = issue(agency)
    return keys


def agreement(number: int, agency: str, grant: dict) -> dict:
    """A document; JSON is YAML too."""
    clause = {"clause": "1", "operations": ["GetMap", "GetTile", "GetFeatureInfo"], "attributes": "all", **grant}
    return {
        "agreement": f"AG-TRIAL-{number:03}", "version": 1, "title": f"trial of {agency}", "parties": {"grantor": "bureau", "grantee": agency},
        "term": {"from": "2026-01-01"}, "contact": "the data manager", "grants": [clause],
    }


def issue(agency: str) -> str:
    """A key, kept out of what is shown."""
    done = subprocess.run([GEOSHARE, "key", "issue", agency, "--label", "trial"], capture_output=True, text=True, env=environment(), check=True)
    return done.stdout.strip()


@contextmanager
def served() -> Iterator[str]:
    """The instance behind its own server, until we are done."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([GEOSHARE, "serve", "--port", str(port)], env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    base = f"http://127.0.0.1:{port}"
    try:
        wait_for(base + "/healthz")
        yield base
    finally:
        server.terminate()
        server.wait(timeout=20)


def wait_for(address: str, patience: float = 60) -> None:
    end = time.monotonic() + patience
    while True:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            if time.monotonic() > end:
                sys.exit("real_data.py: the server did not start")
            time.sleep(0.3)


def fetch(address: str, key: str) -> bytes:
    request = urllib.request.Request(address, headers={"X-API-Key": key})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        sys.exit(f"real_data.py: {address}: {error.code} {error.read().decode()[:400]}")


def write(body: bytes, folder: Path, shot: Shot) -> str:
    """The picture into `folder`, smaller where it can be; what it is in a few words."""
    picture = Image.open(io.BytesIO(body))
    folder.mkdir(parents=True, exist_ok=True)
    is_jpeg = shot.media_type == "image/jpeg"
    path = folder / f"{shot.name}.{'jpg' if is_jpeg else 'png'}"
    if not is_jpeg and folder == PICTURES:
        picture = picture.convert("RGBA").quantize(128, method=Image.Quantize.FASTOCTREE)
    picture.save(path, **({"quality": 85} if is_jpeg else {"optimize": True}))
    size = path.stat().st_size
    if folder == PICTURES and size > LARGEST:
        sys.exit(f"real_data.py: {path.name} has {size} bytes: ask for a smaller one")
    return f"{picture.width} x {picture.height}, {size // 1000} kB"


def tiles(base: str, key: str) -> Iterator[str]:
    """The tile over the middle of each layer in each tile matrix set, at the level that shows about all of it: how much of it is drawn."""
    for entry in json.loads(fetch(f"{base}/api/v1/layers", key))["layers"]:
        told = []
        for covered in entry["tile_matrix_sets"]:
            tms = TILE_MATRIX_SETS[covered["id"]]
            z = level_of(tms, entry["bounds"], covered)
            x, y = centre(entry["bounds"], tms.crs)
            resolution = tms.resolutions[z] * tms.tile_size
            col, row = int((x - tms.origin[0]) // resolution), int((tms.origin[1] - y) // resolution)
            address = f"{base}/tiles/{entry['name']}/{tms.id}/{tms.identifier(z)}/{col}/{row}.png"
            alpha = Image.open(io.BytesIO(fetch(address, key))).convert("RGBA").getchannel("A")
            told.append(f"{tms.id} {tms.identifier(z)}/{col}/{row} {sum(alpha.histogram()[1:]) / 655.36:.1f} %")
        yield f"{entry['name']}: {', '.join(told)}"


def centre(bounds: list[float], crs: str) -> tuple[float, float]:
    """Of a box in degrees, in `crs`."""
    west, south, east, north = bounds
    return transformer("CRS:84", crs).transform((west + east) / 2, (south + north) / 2)


def level_of(tms, bounds: list[float], covered: dict) -> int:
    """The finest level at which the layer is hardly wider than a tile."""
    box = transform_bounds(Bounds(*bounds), "CRS:84", tms.crs)
    wanted = max(box.width, box.height) / tms.tile_size
    fitting = [z for z in range(covered["min_zoom"], covered["max_zoom"] + 1) if tms.resolutions[z] >= wanted]
    return max(fitting, default=covered["min_zoom"])


if __name__ == "__main__":
    main()
