"""The official schemas of OGC, as MapProxy's package holds them: no test opens a socket."""

from importlib.resources import files
from pathlib import Path

import pytest
from lxml import etree


def official(path: str) -> Path:
    file = files("mapproxy.test").joinpath("schemas", path)
    if not file.is_file():
        pytest.skip("this MapProxy comes without the schemas of OGC")
    return Path(str(file))


class Offline(etree.Resolver):
    """Schemas that name each other by their address at schemas.opengis.net are read from beside one another."""

    def resolve(self, system_url, public_id, context):
        if system_url and "schemas.opengis.net/" in system_url:
            return self.resolve_filename(str(official(system_url.partition("schemas.opengis.net/")[2])), context)
        return None


def schema(text: bytes, beside: Path) -> etree.XMLSchema:
    parser = etree.XMLParser(no_network=True)
    parser.resolvers.add(Offline())
    return etree.XMLSchema(etree.fromstring(text, parser, base_url=str(beside)))
