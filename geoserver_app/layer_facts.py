"""What agreements are compared by: of every edition in the catalogue all that a decision depends on."""

from agreements.compare.cells import LayerFacts
from layers.catalogue import Catalogue


def layer_facts(catalogue: Catalogue) -> tuple[LayerFacts, ...]:
    return tuple(
        LayerFacts(
            name=layer.name, edition=edition.name, owner=layer.owner, product=layer.product.value, is_latest=edition is layer.editions[0],
            classification=int(layer.classification), extent=edition.extent,
        )
        for layer in catalogue.snapshot().layers.values() for edition in layer.editions
    )
