"""Ingests of layers by pattern, of tokens, and of modules that cannot be stored."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from support.direct import direct_inputs
from support.tokens import DIM, SIDE, TOKENS, SmallViT, allow_tokens
from support.writing import Fexp, write_photographs

from fexp_store import BadInput, NotFound, Warehouse
from fexp_store.analyses.selectivity.select import Options as SelectOptions
from fexp_store.analyses.selectivity.select import select
from fexp_store.ingest import ingest
from fexp_store.ingest.request import chosen_layers
from fexp_store.networks import registry
from fexp_store.networks.initialise import initialise
from fexp_store.networks.records import Options
from fexp_store.stimuli.photographs.add import add_manifest
from fexp_store.warehouse.networks import Layer, Registered, layers_json, registered
from fexp_store.warehouse.place import Place

HYPOTHESES = Path(__file__).parents[2] / "examples" / "hypotheses"


@pytest.fixture
def wh(empty: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """Faces, and an untrained network of tokens."""
    allow_tokens(monkeypatch)
    add_manifest(empty, "set1", write_photographs(tmp_path / "photographs", 3, side=SIDE))
    registry.add(empty, "vit", Options(architecture="tokens", untrained=True, seed=2))
    return empty


def test_tokens_are_stored_where_units_says(wh: Warehouse, tmp_path: Path) -> None:
    ingest(wh, "vit", ["block*"], "set1")
    stored = wh.frame("SELECT DISTINCT layer FROM activations ORDER BY layer")["layer"].to_list()
    assert stored == ["block", "block.attention", "block.heads", "block.linear"]
    module = SmallViT().eval()
    initialise(module, "kaiming_normal", 2)
    x = (direct_inputs(wh, tmp_path / "photographs" / "manifest.csv", SIDE) - 128) / 64
    with torch.no_grad():
        found: list[np.ndarray] = []
        module.block.register_forward_hook(lambda _m, _i, out: found.append(out.hidden.numpy()))
        module(x)
    rows = wh.frame(
        "SELECT a.stimulus_id, u.token, u.dim, u.token_kind, a.activation "
        "FROM activations AS a JOIN units AS u USING (network, layer, unit_id) "
        "WHERE a.network = 'vit' AND a.layer = 'block'"
    )
    direct = found[0][rows["stimulus_id"], rows["token"], rows["dim"]]
    np.testing.assert_allclose(rows["activation"], direct, rtol=1e-5, atol=1e-5)
    kinds = rows.group_by("token_kind").len().sort("token_kind").rows()
    assert kinds == [("class", 18 * DIM), ("patch", 18 * DIM * 16), ("register", 18 * DIM * 2)]
    assert rows.height == 18 * TOKENS * DIM


def test_all_are_the_layers_that_can_be_stored(wh: Warehouse) -> None:
    row = registered(wh, "vit")
    assert chosen_layers(row, ["all"]) == list(row.all_layers())
    assert chosen_layers(row, ["head", "patch*"]) == ["patch", "patches", "head"]
    ingest(wh, "vit", ["all"], "set1")
    assert ingest(wh, "vit", ["all"], "set1").stimuli == 0


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("block.act", "The layer 'block.act' of vit is called 2 times in a forward pass, so"),
        ("unused", "The layer 'unused' of vit is never called in a forward pass."),
        ("windo*", "The layer 'windows' of vit puts out 4 rows for one image, so its units"),
        ("nothing", "vit has no layer 'nothing'; its layers: patch, patches, tokens, "),
        ("no*", "vit has no layer that matches 'no*'; its layers: patch, "),
    ],
)
def test_what_is_no_layer_is_refused_with_the_reason(wh: Warehouse, asked: str, said: str) -> None:
    with pytest.raises(NotFound, match=f"^{re.escape(said)}"):
        ingest(wh, "vit", ["tokens", asked], "set1")


def test_a_refusal_names_some_of_many_layers_and_how_to_list_them() -> None:
    layers = layers_json([Layer(f"l{i}", (4,)) for i in range(300)])
    row = Registered("many", "many", "imported", "none", "imported", "0", None, "{}", layers)
    with pytest.raises(NotFound, match=r"l7, …; list them with: fexp networks layers many\.$"):
        chosen_layers(row, ["m*"])


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("channels", "block of vit has no channels; see: fexp networks layers"),
        ("where_on_the_map", "block of vit is no map; see: fexp networks layers"),
    ],
)
def test_hypotheses_by_channel_and_place_refuse_tokens(wh: Warehouse, file: str, said: str) -> None:
    ingest(wh, "vit", ["block", "patch"], "set1")
    query = (HYPOTHESES / f"{file}.sql").read_text()
    for layer in ("block", "patch"):
        select(wh, Place("vit", layer, "set1"), SelectOptions(alpha=0.5))
    with pytest.raises(BadInput, match=re.escape(said)):
        wh.query(query, Place("vit", "block", "set1").columns)
    assert wh.query(query, Place("vit", "patch", "set1").columns).height > 0


def test_layers_on_the_command_line(wh: Warehouse, fexp: Fexp) -> None:
    """The process knows no architecture ``tokens``, and needs none to list what is registered."""
    done = fexp("-w", wh.location, "networks", "layers", "vit", "-f", "csv")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "layer,shape,axes,tokens,units,mb_per_stimulus"
    assert f'tokens,{TOKENS} x {DIM},token x dim,"1 class, 2 register",{TOKENS * DIM},' in "".join(
        lines
    )
    done = fexp("-w", wh.location, "ingest", "-n", "vit", "-l", "blo*", "-s", "set1", "--explain")
    assert done.returncode == 0, done.stderr
    assert "block" in done.stdout
    done = fexp("-w", wh.location, "ingest", "-n", "vit", "-l", "zo*", "-s", "set1")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "vit has no layer that matches 'zo*'; its layers: patch, " in done.stderr
