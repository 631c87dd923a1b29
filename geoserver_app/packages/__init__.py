"""Clip and ship: an area of layers, in an edition, a CRS and a format, made in the background and fetched as files.

`orders` is what is wanted, `items` what is granted of it, `jobs` how far it is; `worker` makes it with `cut` and `manifest`, `shipping` lets it out.
"""
