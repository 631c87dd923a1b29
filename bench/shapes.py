"""Areas for the benches: one county-like border with as many vertices as wanted, always the same for the same seed."""

import numpy as np
import shapely


def county(centre: tuple[float, float], radius: float, vertices: int, seed: int = 1) -> shapely.Polygon:
    """A ragged, valid ring around `centre`: bays and capes at every size, as the borders of counties have. Units are the caller's."""
    rng = np.random.default_rng(seed)
    angle = np.linspace(0, 2 * np.pi, vertices, endpoint=False)
    reach = np.ones(vertices)
    for waves in range(2, max(3, min(vertices // 8, 400))):
        reach += 0.35 * waves**-1.35 * rng.normal() * np.sin(waves * angle + rng.uniform(0, 2 * np.pi))
    reach = np.clip(reach, 0.35, 1.65) * radius
    return shapely.Polygon(np.column_stack([centre[0] + reach * np.cos(angle), centre[1] + reach * np.sin(angle)]))
