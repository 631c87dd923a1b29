"""A paper as one HTML page that needs nothing else: no script, no font, no picture from elsewhere. It prints on A4."""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from geoserver_app.papers.blocks import Document
from geoserver_app.papers.plain import plain


def render(document: Document) -> str:
    """The same page for the same paper. Raises SvgInvalid for a figure that is not on the list of `papers.svg`."""
    return _template().render(paper=plain(document))


@cache
def _template() -> Template:
    rooms = Environment(
        loader=PackageLoader("geoserver_app", "templates/papers"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )
    rooms.filters["css_text"] = css_text
    return rooms.get_template("paper.html")


def css_text(text: str) -> Markup:
    """`text` within a string of CSS: every sign of it as a number, so that none of it can end the string, or the style.

    >>> css_text('a"</style>')
    Markup('\\\\61 \\\\22 \\\\3c \\\\2f \\\\73 \\\\74 \\\\79 \\\\6c \\\\65 \\\\3e ')
    """
    return Markup("".join(f"\\{ord(one):x} " for one in text))
