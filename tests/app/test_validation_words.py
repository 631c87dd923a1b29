"""Whatever may be said of a file is said in Chinese too: every sentence of the code is found there, and its shape looked up."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from geoserver_app.validation.words import in_chinese

LAYERS = Path(__file__).resolve().parents[2] / "layers"
MODULES = ("companions", "parcel", "formats", "job", "object_stores", "raster_content", "raster_headers", "rasters", "sheet_facts", "sources", "staging", "text_grids", "text_values",
           "vct", "zips")
SHOWN = {"what": "a PDF", "where": "row 7, column 7"}
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
