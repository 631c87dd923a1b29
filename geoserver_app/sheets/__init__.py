"""Sheets and editions over HTTP: found, listed, traced, as far as they are granted."""
