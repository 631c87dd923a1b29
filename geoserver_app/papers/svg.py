"""Pictures of papers: SVG of a closed list of elements and attributes, written anew. Nothing in one can run, fetch or refer beyond itself."""

import re
import xml.etree.ElementTree as ElementTree

SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"

LARGEST = 8 * 1024 * 1024
DEEPEST = 40

ELEMENTS = frozenset({
    "svg", "g", "path", "polygon", "polyline", "line", "rect", "circle", "ellipse", "text", "tspan", "title", "desc", "defs", "clipPath", "pattern",
    "linearGradient", "radialGradient", "stop", "image", "use", "symbol", "marker",
})

ATTRIBUTES = frozenset("""
    id class x y x1 y1 x2 y2 cx cy r rx ry fx fy dx dy d points width height viewBox preserveAspectRatio transform gradientTransform gradientUnits
    patternUnits patternTransform patternContentUnits clipPathUnits offset fill fill-opacity fill-rule stroke stroke-width stroke-opacity
    stroke-linecap stroke-linejoin stroke-dasharray stroke-dashoffset stroke-miterlimit opacity stop-color stop-opacity clip-path clip-rule
    font-family font-size font-weight font-style text-anchor dominant-baseline letter-spacing role aria-label aria-hidden version href
    markerWidth markerHeight refX refY orient marker-start marker-end image-rendering shape-rendering vector-effect
""".split())

REFERENCE = re.compile(r"#[A-Za-z][\w.-]*")
DATA = re.compile(r"data:image/png;base64,[A-Za-z0-9+/=\s]*")
FOREIGN = re.compile(r"(?i)url\s*\(\s*(?!['\"]?#)|\\|@import|expression\s*\(")


class SvgInvalid(ValueError):
    """A picture holds what no picture of a paper may: a bug of what drew it, or an attempt."""


def safe_svg(text: str) -> str:
    """`text` parsed and written anew. Raises SvgInvalid for anything that is not on the list."""
    if len(text) > LARGEST or "<!" in re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL):
        raise SvgInvalid("a picture is larger than 8 MiB, or has a document type: draw it plainly")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise SvgInvalid(f"a picture is not well-formed: {error}") from error
    if root.tag not in (f"{{{SVG}}}svg", "svg"):
        raise SvgInvalid("a picture does not begin with `svg`")
    safe = _safe(root, 0)
    safe.set("xmlns", SVG)
    return ElementTree.tostring(safe, encoding="unicode")


def _safe(element: ElementTree.Element, depth: int) -> ElementTree.Element:
    name = element.tag.removeprefix(f"{{{SVG}}}") if isinstance(element.tag, str) else "comment"
    if name not in ELEMENTS or depth > DEEPEST:
        raise SvgInvalid(f"`{name[:60]}` can't be in a picture")
    made = ElementTree.Element(name, _attributes(name, element))
    made.text, made.tail = element.text, element.tail
    made.extend([_safe(child, depth + 1) for child in element])
    return made


def _attributes(name: str, element: ElementTree.Element) -> dict[str, str]:
    made = {}
    for key, value in element.attrib.items():
        key = key.removeprefix(f"{{{XLINK}}}")
        if key not in ATTRIBUTES or FOREIGN.search(value):
            raise SvgInvalid(f"`{key[:60]}` of `{name}` can't be in a picture")
        if key == "href" and not (DATA if name == "image" else REFERENCE).fullmatch(value.strip()):
            raise SvgInvalid(f"`{name}` refers beyond the picture")
        made[key] = value
    return made
