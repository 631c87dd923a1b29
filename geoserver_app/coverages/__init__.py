"""WCS: values of rasters, described and given as far as they are granted."""
