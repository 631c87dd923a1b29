"""What one version of an agreement lets an agency see more and less than another, by the catalogue of this instance."""

from collections.abc import Sequence

from shapely.geometry.base import BaseGeometry

from agreements.compare.difference import Difference, amendment
from agreements.model import Agreement
from agreements.register import AgreementRegister
from geoserver_app.layer_facts import layer_facts
from layers.catalogue import Catalogue
from layers.crs import geodesic_km2
from layers.errors import SheetNumberInvalid
from layers.sheets import sheet_frame, sheets_touching

MOST_SHEETS = 5_000
"""That are listed one by one."""


def compare(register: AgreementRegister, catalogue: Catalogue, before: Agreement | None, after: Agreement) -> Difference:
    """As if both were signed. None is no agreement."""
    return amendment(
        before, after, agreements_above(register, after), km2=geodesic_km2, layers=layer_facts(catalogue), frame=sheet_frame, touching=_touching,
    )


def agreements_above(register: AgreementRegister, agreement: Agreement) -> tuple[Agreement, ...]:
    """All that counts and stands over `agreement`, which itself need not be in force."""
    if agreement.parent is None:
        return ()
    held = register.snapshot().agreements.get(agreement.grantor, ())
    return tuple(one for one in held if one.agreement_id != agreement.agreement_id)


def _touching(ground: BaseGeometry) -> Sequence[str]:
    """None where there are too many to be of use, or the standard numbers none there."""
    try:
        return sheets_touching(ground, most=MOST_SHEETS)
    except SheetNumberInvalid:
        return ()
