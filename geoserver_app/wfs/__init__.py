"""WFS 2.0.0, read-only."""
