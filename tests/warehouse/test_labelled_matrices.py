"""Matrices convert to what rsatoolbox and xarray take, with their labels."""

from __future__ import annotations

import numpy as np

from fexp_store import Warehouse


def test_a_matrix_for_rsatoolbox_and_xarray_has_its_labels(ingested: Warehouse) -> None:
    matrix = ingested.matrix("dlib", "conv4_3", "set1", units=[3, 9])
    dataset = matrix.to_rsatoolbox()
    assert (dataset["measurements"] == matrix.values).all()
    expressions = matrix.stimuli["expression"].to_list()
    assert dataset["obs_descriptors"]["expression"] == expressions
    assert dataset["channel_descriptors"] == {"unit_id": [3, 9]}
    array = matrix.to_xarray()
    fear = array[array["expression"] == "fear"].values
    assert (fear == matrix.values[np.array(expressions) == "fear"]).all()
    assert array["unit_id"].values.tolist() == [3, 9]
