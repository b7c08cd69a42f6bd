"""Measurements against floors: ``python -m benchmarks [PART…]``; results are in docs/benchmarks.md."""
