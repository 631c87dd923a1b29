"""The commands as a data manager and an administrator type them: what they print, what they refuse, how they end."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner, Result
from rasterio.transform import from_origin

from geoserver_app.cli import main

SECRET = re.compile(r"gsk_[a-z0-9]{8,}")

SQUARE = {"type": "Polygon", "coordinates": [[[118.70, 32.00], [118.80, 32.00], [118.80, 32.10], [118.70, 32.10], [118.70, 32.00]]]}


class Office:
    """An instance of its own, and someone at its keyboard."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.environment = {"GEOSHARE_DATA": str(folder / "var"), "GEOSHARE_PORT": "8099", "COLUMNS": "200"}
        self.printed = ""

    def types(self, *words: str, input: str | None = None) -> Result:
        result = CliRunner().invoke(main, list(words), env=self.environment, input=input)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        assert "Traceback" not in result.output
        if words[:2] != ("key", "issue"):
            self.printed += result.output
        return result

    def done(self, *words: str) -> str:
        """What a command prints that must succeed."""
        result = self.types(*words)
        assert result.exit_code == 0, result.output
        return result.stdout

    def rows(self, *words: str) -> list[dict]:
        return json.loads(self.done(*words, "--json"))

    def raster(self, name: str, values: np.ndarray, **profile) -> str:
        path = self.folder / f"{name}.tif"
        given = {"crs": "EPSG:4549", "transform": from_origin(380_000, 3_550_000, 10, 10), "nodata": -9999.0} | profile
        with rasterio.open(path, "w", driver="GTiff", count=1, height=values.shape[0], width=values.shape[1], dtype=values.dtype, **given) as out:
            out.write(values, 1)
        return str(path)

    def document(self, name: str, **changes) -> str:
        content = {
            "agreement": "AG-1", "version": 1, "title": "共享协议", "parties": {"grantor": "bureau", "grantee": "water"}, "term": {"from": "2020-01-01"},
            "contact": "data@bureau.test",
            "grants": [{"clause": "3.1", "layers": ["dem"], "operations": ["GetMap"], "area": {"geojson": SQUARE}, "scale": {"finest": 5000}}],
        } | changes
        path = self.folder / f"{name}.yaml"
        path.write_text(json.dumps(content, ensure_ascii=False), "utf-8")
        return str(path)

    def boundaries(self) -> str:
        path = self.folder / "divisions.geojson"
        feature = {"type": "Feature", "properties": {"code": "320104", "name": "秦淮区"}, "geometry": SQUARE}
        path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}, ensure_ascii=False), "utf-8")
        return str(path)


@pytest.fixture(scope="module")
def furnished(tmp_path_factory) -> Office:
    """With a DEM of one sheet in two editions, an agency and its agreement."""
    office = Office(tmp_path_factory.mktemp("office"))
    heights = np.linspace(5, 60, 64 * 64, dtype="float32").reshape(64, 64)
    sheet = office.raster("heights", heights)
    for edition in ("2006", "2011"):
        assert f"dem@{edition}: 1 sheet" in office.done("layer", "add", "--product", "DEM", "--edition", edition, "--name", "dem", "--workers", "1", sheet)
    office.done("agency", "add", "water", "--name-zh", "水利厅", "--name-en", "Water department")
    office.done("agreement", "register", office.document("water"))
    return office


@pytest.fixture
def office(tmp_path) -> Office:
    return Office(tmp_path)


def test_every_command_tells_what_it_does(office):
    def visit(command, words):
        told = office.done(*words, "--help")
        assert command.help and command.help.split(".")[0].split()[0] in told
        for name, inner in getattr(command, "commands", {}).items():
            visit(inner, (*words, name))

    visit(main, ())


def test_layers_are_listed_newest_edition_first(furnished):
    assert [(row["layer"], row["edition"], row["parts"]) for row in furnished.rows("layer", "list")] == [("dem", "2011", "1 sheet"), ("dem", "2006", "1 sheet")]
    assert "dem" in furnished.done("layer", "list")


def test_a_layer_is_described_with_the_lineage_of_its_sheets(furnished):
    told = json.loads(furnished.done("layer", "info", "dem@2006"))
    assert [edition["name"] for edition in told["editions"]] == ["2006"]
    sheet = told["editions"][0]["sheets"][0]
    assert sheet["crs"] == "EPSG:4549" and sheet["lineage"] and len(sheet["sha256"]) == 64


def test_a_file_is_described_before_it_is_added(furnished):
    told = json.loads(furnished.done("layer", "info", str(furnished.folder / "heights.tif")))
    assert told["crs"] == "EPSG:4549" and told["bands"][0]["nodata"] == -9999
    assert str(furnished.folder) not in json.dumps(told)


def test_what_is_wrong_with_a_file_is_a_sentence_and_nothing_is_published(office):
    bare = office.raster("bare", np.ones((8, 8), "float32"), crs=None)
    result = office.types("layer", "add", "--product", "DEM", "--edition", "2011", "--name", "dem", "--workers", "1", bare)
    assert result.exit_code == 3 and "`--crs EPSG:n`" in result.stderr and str(office.folder) not in result.stderr
    assert office.rows("layer", "list") == []


def test_heights_that_are_none_can_be_meant(office):
    deep = office.raster("deep", np.full((8, 8), -9500, "float32"), nodata=None)
    command = ("layer", "add", "--product", "DEM", "--edition", "2011", "--name", "trench", "--workers", "1", deep)
    refused = office.types(*command)
    assert refused.exit_code == 3 and "--unusual-heights" in refused.stderr
    assert office.done(*command, "--unusual-heights") == "trench@2011: 1 sheet\n"


def test_good_files_go_on_without_the_bad_when_told_so(office):
    good, bad = office.raster("good", np.ones((8, 8), "float32")), office.raster("bad", np.ones((8, 8), "float32"), crs=None)
    command = ("layer", "add", "--product", "DEM", "--edition", "2011", "--name", "dem", "--workers", "1", good, bad)
    assert office.types(*command).exit_code == 3
    assert office.done(*command, "--keep-going") == "dem@2011: 1 sheet\n"


def test_an_interrupted_job_says_how_to_go_on(office, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("geoserver_app.ingesting.add_layer", interrupted)
    result = office.types("layer", "add", "--product", "DEM", "--edition", "2011", "--name", "dem", office.raster("h", np.ones((8, 8), "float32")))
    assert result.exit_code == 1 and "goes on where it was stopped" in result.stderr
    assert office.rows("layer", "list") == []


def test_a_layer_is_removed_after_asking_and_only_if_it_is_there(office):
    office.done("layer", "add", "--product", "DEM", "--edition", "2011", "--name", "dem", "--workers", "1", office.raster("h", np.ones((8, 8), "float32")))
    assert office.types("layer", "remove", "dom", "--yes").exit_code == 3
    assert office.types("layer", "remove", "dem", input="n\n").exit_code == 1
    assert len(office.rows("layer", "list")) == 1
    assert office.done("layer", "remove", "dem@2011", "--yes") == "dem@2011 removed\n"
    assert office.rows("layer", "list") == [] and not (office.folder / "var" / "store" / "dem").exists()


@pytest.mark.parametrize("words", [("layer", "info"), ("layer", "remove", "--yes"), ("explain", "--agency", "water", "--layer")])
def test_a_name_that_no_layer_can_have_is_invalid_input(office, words):
    result = office.types(*words, "../etc")
    assert result.exit_code == 3 and "is not a layer name" in result.stderr


def test_divisions_are_imported_and_listed(office):
    assert office.done("division", "import", "--vintage", "2024", office.boundaries()) == "1 division of 2024\n"
    row, = office.rows("division", "list")
    assert (row["code"], row["name"], row["vintage"]) == ("320104", "秦淮区", "2024")
    assert "秦淮区" in office.done("division", "list")


def test_a_boundary_file_without_codes_is_told_which_option_names_them(office):
    path = Path(office.boundaries())
    path.write_text(path.read_text("utf-8").replace('"code"', '"nr"'), "utf-8")
    result = office.types("division", "import", "--vintage", "2024", str(path))
    assert result.exit_code == 3 and "--code-field" in result.stderr
    assert office.types("division", "import", "--vintage", "2024", str(office.folder / "none.gpkg")).exit_code == 3


def test_an_agency_with_an_impossible_id_is_refused(office):
    result = office.types("agency", "add", "Water/1", "--name-zh", "水", "--name-en", "w")
    assert result.exit_code == 3 and "`Water/1`" in result.stderr
    assert office.rows("agency", "list") == []


def test_a_key_is_shown_once_on_stdout_and_never_again(office):
    office.done("agency", "add", "water", "--name-zh", "水利厅", "--name-en", "Water department")
    issued = office.types("key", "issue", "water", "--label", "QGIS")
    assert issued.exit_code == 0 and SECRET.fullmatch(issued.stdout.strip()) and not SECRET.search(issued.stderr)
    row, = office.rows("key", "list")
    assert row["agency"] == "water" and row["label"] == "QGIS" and row["revoked"] is None
    office.done("key", "list")
    office.done("key", "revoke", row["key"])
    assert office.rows("key", "list")[0]["revoked"]
    assert not SECRET.search(office.printed)


def test_a_key_for_nobody_or_for_the_past_is_refused(office):
    assert office.types("key", "issue", "nobody").exit_code == 3
    office.done("agency", "add", "water", "--name-zh", "水", "--name-en", "w")
    result = office.types("key", "issue", "water", "--expires", "2020-01-01")
    assert result.exit_code == 3 and "is over already" in result.stderr and office.rows("key", "list") == []
    assert office.types("key", "revoke", "k_none").exit_code == 3


def test_every_fault_of_a_document_is_told_at_once_and_nothing_registered(furnished):
    faulty = furnished.document("faulty", agreement="AG-BAD", version="one", titel="?", term={"from": "2027-01-01", "until": "2026-02-30"})
    for command in ("check", "register"):
        result = furnished.types("agreement", command, faulty)
        assert result.exit_code == 3
        assert all(word in result.stderr for word in ("version", "titel", "did you mean `title`", "2026-02-30"))
    assert [row["agreement"] for row in furnished.rows("agreement", "list")] == ["AG-1"]


def test_of_several_documents_all_are_registered_or_none(furnished):
    good = furnished.document("good", agreement="AG-2")
    stranger = furnished.document("stranger", agreement="AG-3", parties={"grantor": "bureau", "grantee": "nobody"})
    changed = furnished.document("changed", title="changed")
    result = furnished.types("agreement", "register", good, stranger, changed)
    assert result.exit_code == 3 and "geoshare agency add nobody" in result.stderr and "number the amendment 2" in result.stderr
    assert [row["agreement"] for row in furnished.rows("agreement", "list")] == ["AG-1"]


def test_a_document_that_is_not_utf_8_says_so(furnished):
    path = furnished.folder / "gbk.yaml"
    path.write_bytes("title: 共享协议".encode("gbk"))
    result = furnished.types("agreement", "check", str(path))
    assert result.exit_code == 3 and "save the document as UTF-8" in result.stderr


def test_a_grant_of_a_layer_that_is_not_there_is_remarked_on(furnished):
    grant = {"clause": "1", "layers": ["dam"], "operations": ["GetMap"], "area": "everywhere"}
    result = furnished.types("agreement", "check", furnished.document("dam", agreement="AG-9", grants=[grant]))
    assert result.exit_code == 0 and "layer `dam` is not in the catalogue" in result.stderr


def test_a_condition_that_a_layer_can_not_meet_is_remarked_on(furnished):
    grant = {"clause": "1", "layers": ["dem"], "operations": ["GetMap"], "area": "everywhere", "rows": "GRADE = 1"}
    result = furnished.types("agreement", "check", furnished.document("rows", agreement="AG-9", grants=[grant]))
    assert result.exit_code == 0 and "AG-9, clause 1, layer `dem`: `rows` can't be met by a raster" in result.stderr
    wrong = furnished.types("agreement", "check", furnished.document("wrong", agreement="AG-9", grants=[grant | {"rows": "GRADE = = 1"}]))
    assert wrong.exit_code == 3 and "is not CQL2 text at character 9" in wrong.stderr


def test_a_suspended_agreement_is_listed_as_suspended_until_it_is_resumed(furnished):
    assert furnished.rows("agreement", "list")[0]["state"] == "active"
    furnished.done("agreement", "suspend", "AG-1", "--reason", "flood season", "--layer", "dem")
    row = furnished.rows("agreement", "list")[0]
    assert row["state"] == "partly suspended" and row["suspended"] == "dem: flood season"
    furnished.done("agreement", "suspend", "AG-1", "--reason", "audit", "--until", "2099-12-31")
    row = furnished.rows("agreement", "list")[0]
    assert row["state"] == "suspended" and "all layers until 2100-01-01 00:00: audit" in row["suspended"]
    assert furnished.types("explain", "--agency", "water", "--layer", "dem").exit_code == 2
    assert furnished.done("agreement", "resume", "AG-1") == "AG-1: 2 suspensions ended\n"
    assert furnished.rows("agreement", "list")[0]["state"] == "active"


def test_a_suspension_of_a_layer_that_is_not_there_is_refused(furnished):
    """A misspelt one would suspend nothing, and nobody would notice."""
    result = furnished.types("agreement", "suspend", "AG-1", "--reason", "x", "--layer", "dam")
    assert result.exit_code == 3 and "`dam`" in result.stderr
    assert furnished.types("agreement", "suspend", "AG-1", "--reason", "x", "--until", "2020-01-01").exit_code == 3
    assert furnished.types("agreement", "suspend", "AG-0", "--reason", "x").exit_code == 3
    assert furnished.types("agreement", "resume", "AG-0").exit_code == 3
    assert furnished.rows("agreement", "list")[0]["state"] == "active"


def test_explain_ends_with_0_for_what_is_seen_and_2_for_what_is_denied(furnished):
    question = ("explain", "--agency", "water", "--layer", "dem", "--bounds")
    permitted = furnished.types(*question, "118.72,32.02,118.74,32.04", "--scale", "10000")
    assert permitted.exit_code == 0 and permitted.stdout.startswith("PERMIT") and "AG-1" in permitted.stdout
    clipped = furnished.types(*question, "118.75,32.02,118.95,32.04")
    assert clipped.exit_code == 0 and clipped.stdout.startswith("CLIP")
    denied = furnished.types(*question, "118.72,32.02,118.74,32.04", "--scale", "1000", "--language", "zh")
    assert denied.exit_code == 2 and denied.stdout.startswith("DENY") and "AG-1" in denied.stdout and "3.1" in denied.stdout
    told = json.loads(furnished.types(*question, "10,10,11,11", "--json").stdout)
    assert told["effect"] == "deny" and told["reasons"][0]["code"] == "outside-area" and told["layer"] == "dem@2011"


@pytest.mark.parametrize("words, fault", [
    (("--layer", "dom"), "`dom` is not defined"),
    (("--layer", "dem", "--bounds", "1,2,3"), "west,south,east,north"),
    (("--layer", "dem", "--bounds", "nan,2,3,4"), "no box on the globe"),
    (("--layer", "dem", "--bounds", "119,32,118,33"), "no box on the globe"),
    (("--layer", "dem", "--crs", "EPSG:2384"), "EPSG:2384"),
    (("--layer", "dem", "--operation", "GetEverything"), "GetEverything"),
    (("--layer", "dem", "--at", "yesterday"), "yesterday"),
])
def test_a_question_that_can_t_be_read_is_invalid_not_denied(furnished, words, fault):
    result = furnished.types("explain", "--agency", "water", *words)
    assert result.exit_code == 3 and fault in result.stderr


def test_explain_knows_its_agencies(furnished):
    result = furnished.types("explain", "--agency", "nobody", "--layer", "dem")
    assert result.exit_code == 3 and "geoshare agency add nobody" in result.stderr


def test_settings_that_can_t_be_read_are_invalid_and_a_lost_database_has_failed(office):
    office.environment["GEOSHARE_PORT"] = "many"
    assert office.types("layer", "list").exit_code == 3
    office.environment |= {"GEOSHARE_PORT": "8099", "GEOSHARE_DATABASE_URL": f"sqlite:///{office.folder / 'none' / 'geoshare.sqlite'}"}
    result = office.types("layer", "list")
    assert result.exit_code == 1 and "the database can't be opened" in result.stderr


def test_a_port_in_use_is_told_before_anything_is_served(office, monkeypatch):
    from geoserver_app.settings import PortInUse

    def in_use(settings):
        raise PortInUse(settings.bind, settings.port)

    monkeypatch.setattr("geoserver_app.server.serve", in_use)
    result = office.types("serve", "--port", "8098", "--workers", "1")
    assert result.exit_code == 1 and "127.0.0.1:8098 is in use" in result.stderr


def test_titles_that_look_like_markup_are_shown_as_they_are(office):
    office.done("agency", "add", "odd", "--name-zh", "[/red]水利", "--name-en", "[bold]odd")
    assert "[/red]水利" in office.done("agency", "list") and office.rows("agency", "list")[0]["english"] == "[bold]odd"


def test_what_ingest_has_doubts_about_is_said_although_it_succeeds(office):
    framed = np.zeros((40, 40), "float32")
    framed[6:-6, 6:-6] = np.linspace(200, 900, 28 * 28).reshape(28, 28)
    command = ("layer", "add", "--product", "DEM", "--edition", "2011", "--name", "dem", "--workers", "1", office.raster("framed", framed, nodata=3.4e38))
    result = office.types(*command)
    assert result.exit_code == 0 and "framed.tif" in result.stderr and "`--nodata 0`" in result.stderr
