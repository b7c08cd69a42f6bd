"""Dissimilarities of expressions: numpy's own correlations, and a planted geometry."""

from __future__ import annotations

import numpy as np
import pytest
from support.planted import add_network, plant, prototype_rows, register_rows

from fexp_store import BadInput, NotFound, Warehouse
from fexp_store.analyses.expressions.rsa import Options, rsa
from fexp_store.expressions import BASIC
from fexp_store.options import make
from fexp_store.warehouse.place import Place

PLACE = Place("net", "planted", "faces")


@pytest.fixture
def planted(empty: Warehouse) -> tuple[Warehouse, np.ndarray]:
    """Twelve people, 40 units; anger and disgust have nearly one pattern, fear its opposite."""
    rng = np.random.default_rng(1)
    patterns = rng.normal(size=(6, 40))
    patterns[1] = patterns[0] + rng.normal(size=40) / 10
    patterns[2] = -patterns[0]
    values = np.tile(patterns, (12, 1)) + rng.normal(size=(72, 40)) / 5
    register_rows(empty, "faces", prototype_rows([f"p{i}" for i in range(12)]))
    add_network(empty, "net", 40)
    plant(empty, "net", "faces", values)
    return empty, values.astype(np.float32).astype(np.float64)


def test_distances_are_those_of_numpy(planted: tuple[Warehouse, np.ndarray]) -> None:
    wh, values = planted
    means = values.reshape(12, 6, 40).mean(axis=0)
    for metric in ("correlation", "euclidean"):
        found = rsa(wh, PLACE, make(Options, {"units": "all", "metric": metric})).dissimilarity
        first, second = np.triu_indices(6, 1)
        expected = (
            1 - np.corrcoef(means)[first, second]
            if metric == "correlation"
            else np.linalg.norm(means[first] - means[second], axis=1)
        )
        assert found["distance"].to_numpy() == pytest.approx(expected, abs=1e-12)
        named = [(BASIC[a], BASIC[b]) for a, b in zip(first, second, strict=True)]
        assert found.select("expression_a", "expression_b").rows() == named
    stored = wh.frame("FROM dissimilarity")
    assert stored.height == 30  # one metric never replaces the other
    assert stored["metric"].n_unique() == 2


def test_a_planted_geometry_is_found(planted: tuple[Warehouse, np.ndarray]) -> None:
    found = rsa(planted[0], PLACE, make(Options, {"units": "all"})).dissimilarity
    near = found.sort("distance").row(0)
    far = found.sort("distance").row(-1)
    assert near[:2] == ("anger", "disgust")
    assert near[2] < 0.05
    assert far[:2] in {("anger", "fear"), ("disgust", "fear")}
    assert far[2] > 1.9


def test_what_is_not_there_is_said(planted: tuple[Warehouse, np.ndarray]) -> None:
    with pytest.raises(NotFound, match="run: fexp select --network net"):
        rsa(planted[0], PLACE, make(Options, {}))
    with pytest.raises(BadInput, match="metric must be correlation or euclidean, not 'cosine'"):
        make(Options, {"metric": "cosine"})
