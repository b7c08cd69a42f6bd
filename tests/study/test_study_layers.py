"""A study names layers by pattern, before its network is registered and after."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.tokens import SIDE, allow_tokens
from support.writing import write_photographs

from fexp_store import BadInput, Warehouse
from fexp_store.progress import no_bar
from fexp_store.stimuli.photographs.add import add_manifest
from fexp_store.study.file import read_study
from fexp_store.study.run import check, run_study

STUDY = """\
title = "Tokens"

[[sets]]
name = "set1"

[[networks]]
name = "vit"
architecture = "tokens"
untrained = true
layers = ["block*", "head"]

[[analyses]]
run = "select"
stimuli = "set1"
alpha = 0.05
"""
LAYERS = ["block.attention", "block.linear", "block.heads", "block", "head"]


@pytest.fixture
def wh(empty: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    allow_tokens(monkeypatch)
    add_manifest(empty, "set1", write_photographs(tmp_path / "photographs", 3, side=SIDE))
    return empty


def test_a_pattern_means_the_layers_of_the_network(wh: Warehouse, tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text(STUDY)
    before = check(wh, read_study(file))
    assert "ingest vit block*, head on set1" in before["step"].to_list()
    selected = {f"select vit {layer} on set1" for layer in LAYERS}
    assert set(before["step"]) >= selected
    assert not before.filter(~before["step"].str.starts_with("set "))["done"].any()
    run_study(wh, read_study(file), no_bar)
    after = check(wh, read_study(file))
    assert after["done"].all()
    assert sorted(after["step"]) == sorted(before["step"])
    stored = wh.frame("SELECT DISTINCT layer FROM activations")["layer"]
    assert set(stored) == set(LAYERS)


@pytest.mark.parametrize("layers", ['["x*"]', '["head", "unus*"]', '["nothing"]'])
def test_what_matches_no_layer_is_refused_with_the_line(
    wh: Warehouse, tmp_path: Path, layers: str
) -> None:
    file = tmp_path / "study.toml"
    file.write_text(STUDY.replace('["block*", "head"]', layers))
    with pytest.raises(BadInput, match=re.escape("study.toml line 6: vit has no layer ")):
        check(wh, read_study(file))
