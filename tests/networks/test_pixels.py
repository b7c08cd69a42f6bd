"""The image as a network, beside Pillow and numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.writing import write_photographs

from fexp_store import BadInput, Warehouse
from fexp_store.ingest import ingest
from fexp_store.networks import registry
from fexp_store.networks.records import Options
from fexp_store.stimuli.photographs.add import add_manifest
from fexp_store.study.file import read_study
from fexp_store.study.steps import preparations
from fexp_store.warehouse.networks import registered


def test_an_ingest_registers_it_and_stores_the_standardised_image(
    empty: Warehouse, tmp_path: Path
) -> None:
    manifest = write_photographs(tmp_path / "photographs", 2, side=96)
    add_manifest(empty, "set1", manifest)
    assert ingest(empty, "pixels", ["pixels"], "set1").stimuli == 12
    row = registered(empty, "pixels")
    assert (row.training, row.weights_source, row.seed) == ("none", "none", None)
    assert row.layer("pixels").shape == (1, 64, 64)
    stored = empty.matrix("pixels", "pixels", "set1").values
    files = empty.frame("FROM stimuli ORDER BY stimulus_id")["file"]
    for values, file in zip(stored, files, strict=True):
        image = Image.open(manifest.parent / file).convert("RGB")
        grey = image.resize((64, 64), Image.Resampling.BILINEAR).convert("L")
        raw = np.asarray(grey, np.float64)
        expected = (raw - raw.mean()) / raw.std()
        np.testing.assert_allclose(values, expected.reshape(-1), rtol=0, atol=1e-5)
    assert ingest(empty, "pixels", ["pixels"], "set1").stimuli == 0
    assert not registry.add(empty, "pixels", Options())


def test_a_study_declares_it_by_its_name(empty: Warehouse, tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text('[[networks]]\nname = "pixels"\nlayers = ["pixels"]\n')
    (step,) = preparations(empty, read_study(path))
    assert step.missing() == "not there"
    step.run(lambda _label: None)  # type: ignore[arg-type,return-value]  # shows nothing
    assert step.missing() is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (Options(untrained=True), "no weights to draw"),
        (Options(permuted=True), "no weights to draw or to shuffle"),
        (Options(weights=Path("w.pth")), "has no weights"),
    ],
)
def test_it_has_no_weights(empty: Warehouse, options: Options, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        registry.add(empty, "pixels", options)
    assert empty.frame("FROM networks").is_empty()


def test_another_side_is_another_network(empty: Warehouse) -> None:
    registry.add(empty, "p32", Options(architecture="pixels", preprocessing={"size": 32}))
    assert registered(empty, "p32").layer("pixels").shape == (1, 32, 32)
