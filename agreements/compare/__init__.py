"""Agreements against one another: what an amendment changes, what an agreement under another passes on."""
