"""The OpenAPI 3.1 document of the API, from the very values that its routes are made of; and the page that reads it out."""

from collections.abc import Mapping
from functools import lru_cache

import flask
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from geoserver_app.api.door import PREFIX
from geoserver_app.api.operation import JSON, ApiOperation, Text
from geoserver_app.api.resources import OPERATIONS
from geoserver_app.routes import public
from geoserver_app.wiring import services

bp = flask.Blueprint("openapi", __name__, url_prefix=PREFIX)

REFERENCE = "#/components/schemas/{model}"
PROBLEM = "application/problem+json"

STATUSES = {
    401: "not signed in, or not any more", 403: "not with this role, or the request was forged", 404: "nothing there, or not yours to see",
    409: "it goes against what is there", 412: "somebody has changed it meanwhile", 413: "the body is too large", 415: "the body is of another media type",
    422: "what was sent has faults, all of them told", 428: "it must be said which state is changed", 429: "too many attempts",
    503: "the register, the accounts or the decision record can't be reached",
}


@bp.get("/openapi.json")
@public("the shape of the API, without anything that is in it")
def document():
    return flask.jsonify(openapi(services().settings.public_base_url))


@bp.get("/docs")
@public("a page that reads out the document above; what it sends is answered by the door")
def page():
    return flask.render_template("api.html")


@lru_cache(maxsize=4)
def openapi(base_url: str) -> dict:
    """The document. `base_url` is ours, without a slash at its end."""
    models = list(dict.fromkeys(model for one in OPERATIONS.values() for model in _models(one)))
    references, definitions = models_json_schema(
        [(model, "serialization" if _is_told(model) else "validation") for model in models],
        ref_template=REFERENCE, schema_generator=GenerateJsonSchema,
    )
    schemas = {model: schema for (model, _), schema in references.items()}
    paths: dict[str, dict] = {}
    for one in OPERATIONS.values():
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, schemas)
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Geospatial sharing: people, agencies, keys, agreements", "version": "1",
            "description": "Errors are RFC 9457 problems, in Chinese or English by `Accept-Language` or `?lang=`. See docs/api.md.",
        },
        "servers": [{"url": f"{base_url}{PREFIX}"}],
        "tags": [{"name": name} for name in dict.fromkeys(one.tag for one in OPERATIONS.values())],
        "paths": paths,
        "components": {
            "schemas": {**definitions.get("$defs", {}), "Problem": PROBLEM_SCHEMA},
            "responses": {_response_name(status): _problem_response(status) for status in STATUSES},
            "securitySchemes": {
                "session": {
                    "type": "apiKey", "in": "cookie", "name": "geoshare",
                    "description": "The cookie of POST /session (`__Host-geoshare` over https); a change takes its `csrf` in `X-CSRF-Token` as well.",
                },
                "token": {"type": "http", "scheme": "bearer", "description": "A token of POST /session/tokens: `gsu_...`."},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "A key of an agency, in any of the ways of docs/agency-app.md."},
            },
        },
    }


PROBLEM_SCHEMA = {
    "type": "object", "description": "RFC 9457. `type` ends in a name that docs/errors.md explains.", "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"}, "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object", "required": ["detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "JSON pointer into the body."},
                    "parameter": {"type": "string", "description": "Name of a query parameter."},
                    "line": {"type": "integer", "description": "Line of a document, from 1."},
                    "code": {"type": "string"}, "detail": {"type": "string"},
                },
            },
        },
    },
}


def _models(one: ApiOperation) -> list[type[BaseModel]]:
    return [model for model in (one.body, one.query, one.answer) if isinstance(model, type)]


def _is_told(model: type[BaseModel]) -> bool:
    return any(model is one.answer for one in OPERATIONS.values())


def _operation(one: ApiOperation, schemas: Mapping) -> dict:
    chinese, english = one.summary
    told = {
        "operationId": one.name, "tags": [one.tag], "summary": english, "description": chinese,
        "parameters": [
            *({"name": place, "in": "path", "required": True, "schema": {"type": "string"}} for place in one.places), *_query(one, schemas),
        ],
        "responses": {str(one.status): _done(one, schemas), **{str(status): _problem(status) for status in _refusals(one)}},
        "security": _security(one),
        "x-roles": sorted(one.roles),
    }
    if one.body is not None:
        told["requestBody"] = {"required": True, "content": _body(one, schemas)}
    return told


def _security(one: ApiOperation) -> list[dict]:
    if not one.roles:
        return []
    ways = ["session"] if one.by_session else ["session", "token"]
    return [{way: []} for way in ([*ways, "key"] if one.by_key else ways)]


def _body(one: ApiOperation, schemas: Mapping) -> dict:
    if isinstance(one.body, Text):
        return {media_type: {"schema": {} if media_type == JSON else {"type": "string"}} for media_type in one.body.media_types}
    return {JSON: {"schema": schemas[one.body]}}


def _query(one: ApiOperation, schemas: Mapping) -> list[dict]:
    if one.query is None:
        return []
    schema = one.query.model_json_schema(ref_template=REFERENCE)
    parameters = []
    for name, field in schema.get("properties", {}).items():
        plain = {key: value for key, value in field.items() if key not in ("title", "description")}
        parameters.append({
            "name": name, "in": "query", "required": name in schema.get("required", ()), "schema": plain,
            **({"description": field["description"]} if "description" in field else {}),
        })
    return parameters


def _done(one: ApiOperation, schemas: Mapping) -> dict:
    if one.status == 204:
        return {"description": "done"}
    if one.answer is not None:
        return {"description": "done", "content": {JSON: {"schema": schemas[one.answer]}}}
    return {"description": "done", "content": {media_type: {"schema": {} if media_type == JSON else {"type": "string"}} for media_type in one.media_types}}


def _refusals(one: ApiOperation) -> list[int]:
    found = {503, *one.refusals}
    if one.roles:
        found |= {401, 403, 429}
    elif one.changes:
        found.add(403)
    if one.places:
        found.add(404)
    if one.body is not None:
        found |= {413, 415, 422}
    if one.query is not None:
        found.add(422)
    return sorted(found)


def _response_name(status: int) -> str:
    return f"Problem{status}"


def _problem(status: int) -> dict:
    return {"$ref": f"#/components/responses/{_response_name(status)}"}


def _problem_response(status: int) -> dict:
    return {"description": STATUSES[status], "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
