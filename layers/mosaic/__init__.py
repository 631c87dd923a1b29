"""The sheets of an edition as one raster, and the way to read it."""
