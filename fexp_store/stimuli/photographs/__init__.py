"""Photographs: found in directories and lists, chosen, and registered."""
