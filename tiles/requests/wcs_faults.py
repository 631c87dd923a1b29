"""What WCS says of a request that it can't honour, beside what it shares with the other services."""

from types import MappingProxyType

from tiles.errors import RequestInvalid
from tiles.requests.ogc import FAULTS, quotable

WCS_FAULTS = MappingProxyType({
    "wcs-no-time": "nothing shared of `{layer}` is as old as `{value}`: leave out `TIME`, or name an edition of the capabilities",
    "wcs-box": "`BBOX` must be four numbers between commas, x_min,y_min,x_max,y_max in every CRS of version 1.0.0, each minimum below its maximum",
    "wcs-far": "`{name}` lies beyond what {crs} can express: check the order of the axes and the unit",
    "wcs-fine": "the pixels asked for are smaller than coordinates can tell apart: ask for fewer",
    "wcs-both-sizes": "give either `WIDTH` and `HEIGHT` or `RESX` and `RESY`, each pair whole",
    "wcs-subset": "`SUBSET` is `{value}`: write SUBSET=axis(low,high), with numbers or * and the low one first",
    "wcs-slice": "`SUBSET` is `{value}`: a coverage here has no other axes to be cut through; give a low and a high limit",
    "wcs-axis": "`{value}` is no axis of {crs}: its axes are {choices}",
    "wcs-axis-twice": "axis `{value}` is given more than once in `{name}`: give it once",
    "wcs-two-crs": "the subsets name different reference systems: name one",
    "wcs-beside": "the subset lies beside the coverage, which in {crs} reaches over {reach}",
    "wcs-scale": "`{name}` is `{value}`: write {mend}",
    "wcs-one-scale": "give one of SCALEFACTOR, SCALEAXES, SCALESIZE and SCALEEXTENT, not several",
    "wcs-compression": "compression `{value}` is not offered: ask for one of {choices}",
    "wcs-not-taken": "`{name}` is not taken: {mend}",
    "wcs-bands": "`{value}` is no band of coverage `{layer}`: it has {choices}",
    "wcs-format": "format `{value}` is not offered for coverage `{layer}`: ask for one of {choices}",
    "wcs-too-large":
        "{width} x {height} pixels are more than this service gives at once: ask for at most {most} pixels, {side} a side; a subset, or one scaled down",
    "wcs-no-values": "layer `{layer}` has nothing that could be had as a coverage: see the coverages in the capabilities",
})
"""By name; the values between braces are `RequestInvalid.detail`."""


def invalid(code: str, locator: str, fault: str, kind: type[RequestInvalid] = RequestInvalid, **detail: object) -> RequestInvalid:
    """A fault by its name, here or in `tiles.requests.ogc.FAULTS`; `value` in `detail` is the client's own words."""
    told = {name: quotable(value) if name == "value" else str(value) for name, value in detail.items()}
    words = WCS_FAULTS[fault] if fault in WCS_FAULTS else FAULTS[fault]
    return kind(code, locator, words.format(**told), fault=fault, detail=MappingProxyType(told))
