"""What can go wrong between a request and its pixels.

    TilesError
      RequestInvalid(code, locator, message)   a parameter that can't be read
        RequestTooLarge                        one that asks for more than we draw at once: answer 413
      PermitMissing                            a renderer was asked without a permit: a bug, never an answer
      RenderFailed                             a source can't be read now: answer 503
"""

from collections.abc import Mapping
from types import MappingProxyType


class TilesError(Exception):
    """Anything this package refuses to do."""


class RequestInvalid(TilesError):
    """A request we can't honour as it is written.

    Parameters
    ----------
    code : str
        OGC exception code: `InvalidParameterValue`, `MissingParameterValue`, `InvalidFormat`, `InvalidCRS`, `InvalidPoint`,
        `StyleNotDefined`, `LayerNotDefined`, `OperationNotSupported`, `TileOutOfRange` ...
    locator : str
        Name of the parameter at fault, in the protocol's spelling.
    message : str
        What is wrong and how to mend it; user input in backticks, shortened.
    fault : str
        Name of the sentence, for those who tell it in another language.
    detail : Mapping[str, str]
        What that sentence speaks of, as it stands in `message`.
    """

    def __init__(self, code: str, locator: str, message: str, *, fault: str = "", detail: Mapping[str, str] = MappingProxyType({})):
        super().__init__(message)
        self.code, self.locator, self.message, self.fault, self.detail = code, locator, message, fault, detail


class RequestTooLarge(RequestInvalid):
    """More pixels, layers or parameters than one request may ask for."""


class PermitMissing(TilesError):
    pass


class RenderFailed(TilesError):
    pass


class SeedInvalid(TilesError):
    """A job of drawing tiles beforehand, or its manifest, can't be what was meant."""
