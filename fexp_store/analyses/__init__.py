"""Analyses: SQL over the store, polars and scipy over its answers, results back into the store."""

from __future__ import annotations

from importlib import import_module

from fexp_store.analyses.analysis import Analysis

ANALYSES = {
    "select": "fexp_store.analyses.selectivity.select",
    "reliability": "fexp_store.analyses.selectivity.reliability",
    "tune": "fexp_store.analyses.selectivity.tune",
    "decode": "fexp_store.analyses.expressions.decode",
    "confuse": "fexp_store.analyses.expressions.confuse",
    "rsa": "fexp_store.analyses.expressions.rsa",
    "categorize": "fexp_store.analyses.morphs.categorize",
    "compare": "fexp_store.analyses.comparison.compare",
}
"""The one list: each module's ``ANALYSIS`` is what commands, studies and views know of it."""


def analysis(name: str) -> Analysis:
    """Return an analysis of the list."""
    found: Analysis = import_module(ANALYSES[name]).ANALYSIS
    return found
