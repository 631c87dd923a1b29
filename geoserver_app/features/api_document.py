"""OpenAPI 3.0 of the interface to features (OGC 17-069r4, 7.3): it names parameters and paths, and no layer."""

from geoserver_app.features.pages_for_people import words
from tiles.requests.features import DEFAULT_LIMIT, GEOJSON, MOST_ITEMS
from tiles.requests.places import FARTHEST, MOST, USUAL, USUALLY_WITHIN

TEXT, NUMBERS = {"type": "string"}, {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 6}
PATH = {
    "collectionId": {"name": "collectionId", "in": "path", "required": True, "schema": TEXT},
    "featureId": {"name": "featureId", "in": "path", "required": True, "schema": TEXT},
}
QUERY = {
    "bbox": (NUMBERS, "form"), "bbox-crs": (TEXT | {"format": "uri"}, None), "crs": (TEXT | {"format": "uri"}, None), "datetime": (TEXT, None),
    "limit": ({"type": "integer", "minimum": 1, "maximum": MOST_ITEMS, "default": DEFAULT_LIMIT}, None), "after": (TEXT, None),
    "filter": (TEXT, None), "filter-lang": (TEXT | {"enum": ["cql2-text", "cql2-json"], "default": "cql2-text"}, None),
    "filter-crs": (TEXT | {"format": "uri"}, None), "properties": (TEXT, None), "f": (TEXT | {"enum": ["json", "html"]}, None),
}
OF_ITEMS = tuple(QUERY)
OF_ITEM = ("crs", "properties", "f")
NUMBER = {"type": "number"}
OF_PLACES = {
    **dict.fromkeys(("lon", "lat", "x", "y"), (NUMBER, None)),
    "count": ({"type": "integer", "minimum": 1, "maximum": MOST, "default": USUAL}, None),
    "within": ({"type": "integer", "minimum": 1, "maximum": FARTHEST, "default": USUALLY_WITHIN}, None),
}
OF_CONTAINING = ("lon", "lat", "x", "y", "crs", "filter", "filter-lang", "filter-crs", "properties")
OF_NEAREST = (*OF_CONTAINING, "count", "within")
PLAIN = ("f",)


def api_document(base_url: str, language: str) -> dict:
    def path(name: str, operation: str, parameters: tuple[str, ...], *within: str, media: str = "application/json") -> dict:
        return {name: {"get": {
            "operationId": operation, "tags": ["features"], "summary": words(f"does-{operation}", language),
            "parameters": [*(PATH[one] for one in within), *({"$ref": f"#/components/parameters/{one}"} for one in parameters)],
            "responses": {
                "200": {"description": "OK", "content": {media: {"schema": {"type": "object"}}, "text/html": {"schema": TEXT}}},
                "default": {"description": "RFC 9457", "content": {"application/problem+json": {"schema": {"type": "object"}}}},
            },
        }}}

    collection = "/collections/{collectionId}"
    return {
        "openapi": "3.0.3", "info": {"title": words("title", language), "description": words("intro", language), "version": "1.0.0"},
        "servers": [{"url": f"{base_url}/features"}],
        "security": [{"header": []}, {"bearer": []}, {"basic": []}, {"query": []}],
        "paths": path("/", "landing", PLAIN) | path("/conformance", "conformance", PLAIN) | path("/collections", "collections", PLAIN)
        | path(collection, "collection", PLAIN, "collectionId")
        | path(f"{collection}/queryables", "queryables", PLAIN, "collectionId", media="application/schema+json")
        | path(f"{collection}/schema", "schema", PLAIN, "collectionId", media="application/schema+json")
        | path(f"{collection}/items", "items", OF_ITEMS, "collectionId", media=GEOJSON)
        | path(f"{collection}/nearest", "nearest", OF_NEAREST, "collectionId", media=GEOJSON)
        | path(f"{collection}/containing", "containing", OF_CONTAINING, "collectionId", media=GEOJSON)
        | path(f"{collection}/items/{{featureId}}", "item", OF_ITEM, "collectionId", "featureId", media=GEOJSON),
        "components": {
            "parameters": {
                name: {"name": name, "in": "query", "required": False, "schema": kind} | ({"style": style, "explode": False} if style else {})
                for name, (kind, style) in (QUERY | OF_PLACES).items()
            },
            "securitySchemes": {
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"}, "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic"}, "query": {"type": "apiKey", "in": "query", "name": "key"},
            },
        },
    }
