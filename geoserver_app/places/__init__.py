"""What is asked of features from one place. Everything here is made of what `tiles.vector.granted` lets be told: nothing else is measured, counted or ordered."""
