"""Documents of agreements: YAML or JSON <-> values; their schema, canonical digest and ODRL."""

from agreements.document.form import (
    AGREEMENT,
    GRANT,
    SUSPENSION,
    document_of,
    read_document,
    write_document,
)

__all__ = (
    "AGREEMENT",
    "GRANT",
    "SUSPENSION",
    "document_of",
    "read_document",
    "write_document",
)
