"""What can be wrong with a layer, its files or its coordinates.

    LayersError
      LayerNotDefined          no such layer or edition
      LayerRejected            a file can't be taken in: what, where, how to mend it
      OutsideAreaOfUse         coordinates leave what the CRS can express
      CrsNotServed             a CRS outside the closed list
      DatumShiftRefused        no approved way from one datum to the other
      VerticalDatumRefused     no approved constant from one vertical datum to the other
      StakeRefused             not a stake, or not one that leads to one place
      SheetNumberInvalid       not a GB/T 13989 number
      DivisionNotDefined       no administrative division with that code
      CatalogueUnavailable     the catalogue can't be trusted: answer 503, never 200
      EditionOutpaced          somebody else published the same edition meanwhile
      ClusterUnavailable       no Dask cluster to work on
      IngestBusy               another ingest of the same edition is running
      AboveCeiling             a layer more secret than this instance may hold
      LayerMismatch            an existing layer is something else than what is to be added to it
      IngestFailed             files were rejected, so nothing was published; holds every LayerRejected
      FeaturesUnavailable      the store of features can't be read now: answer 503
      RowsInvalid              a row filter that is not CQL2 text, or asks for more than is allowed

Each message is one sentence or two: what is wrong, with the user's own words in backticks, then how to mend it.
None of them names a path of this machine.
"""

from collections.abc import Mapping
from types import MappingProxyType


class LayersError(Exception):
    """Anything this package refuses to do."""


class LayerNotDefined(LayersError):
    def __init__(self, name: str):
        super().__init__(f"layer `{name}` is not defined: see the layers shared with you in GetCapabilities or /api/v1/layers")
        self.name = name


class LayerRejected(LayersError):
    """A source that can't become a layer.

    Parameters
    ----------
    source : str
        File name as the user gave it (never an absolute path of the store).
    fault : str
        What is wrong.
    mend : str
        What the user can do about it.
    """

    def __init__(self, source: str, fault: str, mend: str):
        super().__init__(f"{source}: {fault}: {mend}")
        self.source, self.fault, self.mend = source, fault, mend

    def __reduce__(self):       # found in a worker process, told by its parent
        return type(self), (self.source, self.fault, self.mend)


class OutsideAreaOfUse(LayersError):
    pass


class CrsNotServed(LayersError):
    def __init__(self, crs: str, served: tuple[str, ...] = ()):
        super().__init__(f"CRS `{crs}` is not served: ask for one of {', '.join(served)}" if served else f"CRS `{crs}` is not known")
        self.crs = crs


class DatumShiftRefused(LayersError):
    pass


class VerticalDatumRefused(LayersError):
    """`fault` names the sentence (`layers.heights.FAULTS`), `detail` is what it speaks of, for those who tell it in another language."""

    def __init__(self, message: str, fault: str = "", detail: Mapping[str, str] = MappingProxyType({})):
        super().__init__(message)
        self.message, self.fault, self.detail = message, fault, dict(detail)

    def __reduce__(self):       # found in a worker process, told by its parent
        return type(self), (self.message, self.fault, self.detail)


class StakeRefused(LayersError):
    """`fault` names the sentence (`geoserver_app.highways.words`), `detail` is what it speaks of."""

    def __init__(self, fault: str, **detail: str):
        super().__init__(f"{fault}: {', '.join(detail.values())}")
        self.fault, self.detail = fault, detail


class SheetNumberInvalid(LayersError):
    pass


class DivisionNotDefined(LayersError):
    def __init__(self, code: str, vintage: str | None = None):
        place = f"the boundaries of `{vintage}`: see `geoshare division list --vintage {vintage}`" if vintage else "the boundary layer: see `geoshare division list`"
        super().__init__(f"administrative division `{code}` is not in {place}")
        self.code, self.vintage = code, vintage


class CatalogueUnavailable(LayersError):
    pass


class EditionOutpaced(LayersError):
    def __init__(self, name: str):
        super().__init__(f"edition `{name}` was published by somebody else meanwhile: run the same command again")


class IngestBusy(LayersError):
    def __init__(self, name: str):
        super().__init__(f"another ingest of `{name}` is running: wait for it to end, then run the same command again")


class ClusterUnavailable(LayersError):
    pass


class AboveCeiling(LayersError):
    def __init__(self, name: str, classification: str, ceiling: str):
        super().__init__(
            f"layer `{name}` is {classification}, but this instance holds nothing above {ceiling}: register it on an instance that may"
        )


class LayerMismatch(LayersError):
    pass


class IngestFailed(LayersError):
    """Files that can't be taken in, all of them at once.

    Parameters
    ----------
    rejected : tuple of LayerRejected
    """

    def __init__(self, rejected: "tuple[LayerRejected, ...]"):
        files = "1 file was" if len(rejected) == 1 else f"{len(rejected)} files were"
        super().__init__(f"{files} rejected and nothing was published: " + "; ".join(str(each) for each in rejected))
        self.rejected = rejected


class FeaturesUnavailable(LayersError):
    pass


class RowsInvalid(LayersError):
    """A row filter that can't be read: only who writes agreements is told, never who is granted something by them."""

    def __init__(self, text: str, fault: str, mend: str):
        shown = " ".join(text.split())
        super().__init__(f"row filter `{shown[:80]}{'...' if len(shown) > 80 else ''}`: {fault}: {mend}")
        self.text, self.fault, self.mend = text, fault, mend
