"""Delivered files -> an edition that is served: checked, rewritten, published."""
