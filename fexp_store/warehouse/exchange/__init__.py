"""Activations to and from elsewhere: matrices that others made are imported, layers exported."""
