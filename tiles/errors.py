"""What can go wrong between a request and its pixels.

    TilesError
      RequestInvalid(code, locator, message)   a parameter that can't be read, or asks for too much
      PermitMissing                            a renderer was asked without a permit: a bug, never an answer
      RenderFailed                             a source can't be read now: answer 503
"""


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
    """

    def __init__(self, code: str, locator: str, message: str):
        super().__init__(message)
        self.code, self.locator, self.message = code, locator, message


class PermitMissing(TilesError):
    pass


class RenderFailed(TilesError):
    pass
