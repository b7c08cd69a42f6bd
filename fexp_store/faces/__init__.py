"""Rendered faces: people with expressions become pixels and landmarks."""
