"""Live overlays: what moves is written by its owner in batches, and told to whoever may see it, as it happens."""
