"""The OpenAPI document says what the routes do, and no more."""

import re

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from geoserver_app.api.door import PREFIX
from geoserver_app.api.openapi import STATUSES
from geoserver_app.api.resources import OPERATIONS


@pytest.fixture
def document(house) -> dict:
    return house.client().get("/api/v1/openapi.json").json


def test_the_document_is_openapi_3_1(document):
    validate(document, cls=OpenAPIV31SpecValidator)
    assert document["servers"] == [{"url": "http://maps.test/api/v1"}]


def test_it_names_every_operation_with_its_route_and_roles(document, house):
    told = {(method.upper(), path): one for path, methods in document["paths"].items() for method, one in methods.items()}
    assert {one["operationId"] for one in told.values()} == OPERATIONS.keys()
    rules = {
        (method, re.sub(r"<(?:path:)?(\w+)>", r"{\1}", rule.rule).removeprefix(PREFIX))
        for rule in house.app.url_map.iter_rules() if rule.endpoint.startswith("api.") for method in rule.methods - {"HEAD"}
    }
    assert told.keys() == rules
    for one in told.values():
        operation = OPERATIONS[one["operationId"]]
        assert one["x-roles"] == sorted(operation.roles) and bool(one["security"]) == bool(operation.roles)
        assert set(one["responses"]) >= {str(operation.status), "503"} and {int(status) for status in one["responses"]} - {operation.status} <= STATUSES.keys()


def test_passwords_are_marked_as_such_and_secrets_are_told_by_what_issues_them_alone(document):
    schemas = document["components"]["schemas"]
    for name, schema in schemas.items():
        for field, one in schema.get("properties", {}).items():
            if field in ("password", "current", "new"):
                assert one["format"] == "password" and one["writeOnly"], name
            if field == "secret":
                assert name in ("KeyIssued", "TokenIssued")
            assert field not in ("digest", "hash") or name in ("AreaTold", "RootTold"), "digests of secrets stay in the database"


def test_it_holds_nothing_of_what_is_in_the_house(document, house):
    assert not any(key in str(document) for key in house.keys.values())
    assert "surveying" not in str(document)


def test_every_operation_is_said_in_chinese_and_english():
    for operation in OPERATIONS.values():
        chinese, english = operation.summary
        assert re.search("[\u4e00-\u9fff]", chinese) and english.isascii()


def test_the_page_uses_no_script_of_anybody_else_s(house):
    page = house.client().get("/api/v1/docs")
    assert set(re.findall(r'src="([^"]+)"', page.text)) == {"/static/api.js"}
    assert "script-src 'self'" in page.headers["Content-Security-Policy"] and "unsafe" not in page.headers["Content-Security-Policy"].partition("style-src")[0]
    with house.client().get("/static/api.js") as script:
        assert script.status_code == 200 and not re.search("innerHTML|https?:|eval|document.write", script.text)
