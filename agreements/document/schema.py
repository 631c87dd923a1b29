"""The JSON Schema of agreement documents, for editors, forms and other programs. A test holds it to the tables of `agreements.document.form`."""

import json
from functools import cache
from importlib.resources import files


@cache
def schema_text() -> str:
    return (files("agreements") / "agreement.schema.json").read_text("utf-8")


def agreement_schema() -> dict:
    """JSON Schema 2020-12 of one document."""
    return json.loads(schema_text())
