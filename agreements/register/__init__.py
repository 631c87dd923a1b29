"""The register of agreements, keys and agencies: in memory, and in a database."""

from agreements.register.books import (
    COUNTING,
    AgreementRegister,
    InMemoryRegister,
    SqlRegister,
    agencies_table,
    metadata,
    rehearsal_of,
)

__all__ = (
    "AgreementRegister",
    "COUNTING",
    "InMemoryRegister",
    "SqlRegister",
    "agencies_table",
    "metadata",
    "rehearsal_of",
)
