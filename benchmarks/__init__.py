"""Measurements against floors: ``python -m benchmarks [PART…]``; see docs/benchmarks.md."""
