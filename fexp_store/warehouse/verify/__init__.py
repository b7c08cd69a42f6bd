"""Comparing everything that a warehouse holds with what was stored, and mending what is not."""
