"""Analyses: SQL over the store, polars and scipy over its answers, results back into the store."""
