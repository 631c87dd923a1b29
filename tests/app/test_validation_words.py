"""Whatever may be said of a file is said in Chinese too: every sentence of the code is found there, and its shape looked up."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from geoserver_app.validation.vector_words import TABLE_FINDINGS, table_finding_in_words
from geoserver_app.validation.words import in_chinese, told_in_chinese
from layers.delivery import refused_vectors
from layers.delivery.vector_formats import TAKEN

LAYERS = Path(__file__).resolve().parents[2] / "layers"
MODULES = ("companions", "geodatabases", "parcel", "vector_formats", "vectors", "formats", "job", "object_stores", "raster_content", "raster_headers", "rasters", "sheet_facts", "sources", "staging", "text_grids", "text_values",
           "vct", "zips")
SHOWN = {"what": "a PDF", "where": "row 7, column 7", "TAKEN": TAKEN}
"""Values that are words."""


def sentences() -> Iterator[str]:
    """Faults and mends of every LayerRejected, with 7 in the place of each value."""
    for module in MODULES:
        for node in ast.walk(ast.parse(next(LAYERS.rglob(f"{module}.py")).read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "LayerRejected":
                for argument in node.args[1:]:
                    yield from texts(argument)


def texts(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.IfExp):
        yield from (*texts(node.body), *texts(node.orelse))
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(part.value if isinstance(part, ast.Constant) else SHOWN.get(ast.unparse(part.value), "7") for part in node.values)


@pytest.mark.parametrize("sentence", sorted(set(sentences())))
def test_what_is_wrong_and_how_to_mend_it_is_told_in_chinese_too(sentence):
    assert re.search(r"[\u4e00-\u9fff]", in_chinese(sentence))


@pytest.mark.parametrize("sentence", [
    "lines: 3 files are called something else than DLG (`x DOM.gpkg`), and were left out", "lines.zip: 12 files are of no kind that is taken in, and were left out",
    "inner.zip: an archive within the delivery is not opened, and was left out: unpack it first", "x.gpkg: it is a link that leads out of the folder, and was left out",
    str(refused_vectors.DWG.of("a.dwg")), str(refused_vectors.TABLE.of("a.csv")),
    "a.vct: it is a VCT file (GB/T 17798; LANDUSE-VCT 2.0, scale 1:10000), which is not taken in: export it as GeoPackage or Shapefile",
])
def test_what_was_left_out_is_told_in_chinese_too(sentence):
    told = told_in_chinese(sentence)
    assert told.startswith(sentence.split(":")[0] + "：") and re.search(r"[\u4e00-\u9fff]", told) and not re.search(r" (it|is|was|were) ", told)


REFUSALS = sorted({each for each in vars(refused_vectors).values() if isinstance(each, refused_vectors.Refusal)}, key=lambda each: each.what)


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda each: each.what)
def test_what_a_file_is_instead_and_the_way_out_are_told_in_chinese_too(refusal):
    fault = refusal.of("a.x")
    assert re.search(r"[\u4e00-\u9fff]", in_chinese(fault.fault)) and re.search(r"[\u4e00-\u9fff]", in_chinese(fault.mend))
    assert not re.search(r"it is|its ", in_chinese(fault.fault))


@pytest.mark.parametrize("code", sorted(TABLE_FINDINGS))
def test_what_is_found_in_tables_is_told_in_both_languages_with_all_its_values(code):
    values = dict.fromkeys(("sheet", "metres", "field", "sample", "codes", "theme"), "X7")
    chinese, english = table_finding_in_words(code, 12, values)
    assert re.search(r"[\u4e00-\u9fff]", chinese) and not re.search(r"[\u4e00-\u9fff]", english) and "12" in chinese and "12" in english
