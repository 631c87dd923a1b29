"""Features themselves, each cut to what is granted: OGC API - Features over what `tiles.vector.granted` tells."""
