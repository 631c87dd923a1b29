"""What is asked of gauges: their levels, whether they warn, and the ground that lies below them. Gauges are what `tiles.vector.granted` lets be told, heights
what the permit for the elevation model does: nothing else is compared."""
