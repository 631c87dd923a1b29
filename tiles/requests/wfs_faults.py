"""What WFS says of a request that it can't honour, beside what it shares with the other services."""

from types import MappingProxyType

from tiles.errors import RequestInvalid
from tiles.requests.ogc import FAULTS, quotable

WFS_FAULTS = MappingProxyType({
    "wfs-xml": "the body of the request can't be read as XML: {mend}",
    "wfs-not-taken": "`{name}` is not taken: {mend}",
    "wfs-one-type": "one request asks for features of one type: ask for each of `TYPENAMES` by itself",
    "wfs-type-name": "`{value}` is not the name of a feature type: write one such as gs:dlg.HYDL, as the capabilities do",
    "wfs-no-type": "layer `{layer}` has no table of that name: see the feature types in the capabilities",
    "wfs-query": "there is no stored query `{value}`: ask for urn:ogc:def:query:OGC-WFS::GetFeatureById with ID",
    "wfs-filter": "the filter can't be answered: {what}: {mend}",
    "wfs-two-filters": "FILTER, BBOX and RESOURCEID exclude one another: give one of them",
    "wfs-id": "there is no feature `{value}` among those that may be seen",
    "wfs-after": "`AFTER` names no feature of this type: follow `next` as it is",
    "wfs-property": "feature type `{layer}` has no attribute `{value}`: see DescribeFeatureType",
})
"""By name; the values between braces are `RequestInvalid.detail`."""


def invalid(code: str, locator: str, fault: str, kind: type[RequestInvalid] = RequestInvalid, **detail: object) -> RequestInvalid:
    """A fault by its name, here or in `tiles.requests.ogc.FAULTS`; `value` in `detail` is the client's own words."""
    told = {name: quotable(value) if name == "value" else str(value) for name, value in detail.items()}
    words = WFS_FAULTS[fault] if fault in WFS_FAULTS else FAULTS[fault]
    return kind(code, locator, words.format(**told), fault=fault, detail=MappingProxyType(told))
