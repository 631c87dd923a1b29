"""What is asked of routes by their stakes. Lines and posts are what `tiles.vector.granted` lets be told: nothing else is measured, counted or followed."""
