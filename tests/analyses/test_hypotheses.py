"""Every file of examples/hypotheses, run as users run it and checked by numpy."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from support.writing import Fexp, write_fragment

from fexp_store import Warehouse
from fexp_store.analyses.selectivity.select import Options as SelectOptions
from fexp_store.analyses.selectivity.select import select
from fexp_store.analyses.selectivity.tune import Options as TuneOptions
from fexp_store.analyses.selectivity.tune import matrix, tune
from fexp_store.expressions import BASIC
from fexp_store.ingest import ingest
from fexp_store.networks import registry
from fexp_store.networks.records import Options
from fexp_store.warehouse import tables
from fexp_store.warehouse.activations.commit import commit
from fexp_store.warehouse.place import Place

FILES = Path(__file__).parents[2] / "examples" / "hypotheses"
PLACE = Place("dlib", "conv4_3", "set1")
KEY = PLACE.columns
UNITS = 128 * 8 * 8


@pytest.fixture(scope="module")
def studied(ingested: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Selectivity of twins, tuning, and the responses to a morph continuum."""
    root = tmp_path_factory.mktemp("studied") / "warehouse"
    shutil.copytree(ingested.location, root)
    wh = Warehouse(root)
    registry.add(wh, "twin", Options(architecture="dlib_face", untrained=True, seed=4))
    ingest(wh, "twin", ["conv4_3"], "set1")
    for network, layer in (("dlib", "embedding"), ("dlib", "conv4_3"), ("twin", "conv4_3")):
        select(wh, Place(network, layer, "set1"), SelectOptions(alpha=0.05))
    tune(wh, PLACE, TuneOptions())
    levels = np.tile(np.linspace(0, 1, 5), 3)
    rows = pl.DataFrame({"morph_level": levels}).with_row_index("stimulus_id")
    labels = {
        "stimulus_set": "morphs",
        "set_sha256": "0",
        "image_sha256": "0",
        "identity": "p0",
        "source": "none",
        "morph_from": "anger",
        "morph_to": "fear",
    }
    tables.append(
        wh.storage,
        "stimuli",
        rows.with_columns(
            pl.col("stimulus_id").cast(pl.Int32),
            *(pl.lit(value).alias(name) for name, value in labels.items()),
        ),
    )
    values = np.random.default_rng(0).uniform(size=(15, UNITS)).astype(np.float32)
    commit(wh.storage, [write_fragment(wh, values, 0, PLACE._replace(stimulus_set="morphs"))])
    return wh


def ask(wh: Warehouse, name: str, **parameters: object) -> pl.DataFrame:
    return wh.query((FILES / f"{name}.sql").read_text(), parameters)


def chosen(wh: Warehouse, network: str = "dlib") -> np.ndarray:
    """Whether each unit of conv4_3 is selective, from a polars scan of the Delta table."""
    rows = pl.scan_delta(str(Path(wh.location) / "results" / "selectivity")).filter(
        network=network, layer="conv4_3"
    )
    return rows.sort("unit_id").collect()["selective"].to_numpy()


def test_there_are_eight_each_a_page_or_less_with_its_question() -> None:
    files = sorted(FILES.glob("*.sql"))
    assert len(files) >= 8
    tested = Path(__file__).read_text()
    for file in files:
        lines = file.read_text().splitlines()
        assert len(lines) <= 50
        assert lines[0].startswith("-- ")
        assert "?" in lines[0] + lines[1]
        assert f'"{file.stem}"' in tested


@pytest.mark.slow
def test_emergence_on_the_command_line(studied: Warehouse, fexp: Fexp) -> None:
    file = FILES / ("emergence" + ".sql")
    done = fexp("-w", studied.location, "query", file, "-p", "stimulus_set=set1", "-f", "json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert len(rows) == ask(studied, "emergence", stimulus_set="set1").height
    where = [(r["network"], r["layer"]) for r in rows]
    assert where == [("dlib", "conv4_3"), ("dlib", "embedding"), ("twin", "conv4_3")]
    for row in (rows[0], rows[2]):
        selective = chosen(studied, row["network"])
        assert row["percent"] == pytest.approx(100 * selective.mean())
        values = studied.matrix(row["network"], "conv4_3", "set1").values
        (found,) = studied.frame(
            "FROM selection WHERE network = $n AND layer = 'conv4_3'", n=row["network"]
        ).to_dicts()
        assert row["by_chance"] == pytest.approx(100 * found["chance_mean"] / UNITS)
        varying = (np.ptp(values, axis=0) > 0).sum()
        assert found["expected_by_alpha"] == pytest.approx(varying * 0.05 * 0.95)


def test_identity_overlap(studied: Warehouse) -> None:
    (row,) = ask(studied, "identity_overlap", **KEY, alpha=0.2).to_dicts()
    p = studied.frame("FROM selectivity WHERE network = 'dlib' AND layer = 'conv4_3'")
    e = (p["p_expression"] < 0.2).fill_null(value=False).to_numpy()
    i = (p["p_identity"] < 0.2).fill_null(value=False).to_numpy()
    counts = [int(row[name]) for name in ("expression", "identity", "both")]
    assert counts == [e.sum(), i.sum(), (e & i).sum()]
    assert row["expected"] == pytest.approx(e.mean() * i.mean() * UNITS)
    assert row["ratio"] == pytest.approx((e & i).mean() / (e.mean() * i.mean()))


def test_places_and_channels(studied: Warehouse) -> None:
    grid = chosen(studied).reshape(128, 8, 8)
    places = ask(studied, "where_on_the_map", **KEY)
    assert places.height == 64
    for row in places.iter_rows(named=True):
        share = grid[:, row["row"], row["col"]].mean()
        assert row["share"] == pytest.approx(share)
        assert row["enrichment"] == pytest.approx(share / grid.mean())
    assert places["share"].is_sorted(descending=True)
    counts = grid.sum(axis=(1, 2))
    channels = ask(studied, "channels", **KEY)
    assert dict(channels.select("channel", "selective").iter_rows()) == {
        c: n for c, n in enumerate(counts.tolist()) if n
    }
    ranked = np.sort(counts[counts > 0])[::-1].cumsum() / counts.sum()
    np.testing.assert_allclose(channels["cumulative"], ranked)


def test_units_shared_with_a_twin(studied: Warehouse) -> None:
    from scipy.stats import hypergeom

    here, there = chosen(studied), chosen(studied, "twin")
    (row,) = ask(studied, "shared_with_twin", **KEY, twin="twin").to_dicts()
    law = hypergeom(UNITS, here.sum(), there.sum())
    assert int(row["shared"]) == (here & there).sum()
    assert row["expected"] == pytest.approx(law.mean())
    assert row["sd"] == pytest.approx(law.std())
    assert row["z"] == pytest.approx(((here & there).sum() - law.mean()) / law.std())


def test_sparseness(studied: Warehouse) -> None:
    x = studied.matrix(*PLACE).values.astype(float)
    responds = x.max(axis=0) > 0
    with np.errstate(invalid="ignore"):
        sparse = (1 - x.mean(axis=0) ** 2 / (x**2).mean(axis=0)) / (1 - 1 / 48)
    rows = {r["kind"]: r for r in ask(studied, "sparseness", **KEY).to_dicts()}
    assert rows.keys() == {"other", "selective"}
    for kind, which in (("selective", chosen(studied)), ("other", ~chosen(studied))):
        assert rows[kind]["units"] == (which & responds).sum()
        assert rows[kind]["mean_sparseness"] == pytest.approx(sparse[which & responds].mean())


def test_confusable_expressions(studied: Warehouse) -> None:
    tuned = matrix(studied, PLACE)
    expected = np.corrcoef(tuned.select(sorted(BASIC)).to_numpy().T)
    rows = ask(studied, "confusable_expressions", **KEY)
    assert rows.height == 15
    for a, b, units, similarity in rows.iter_rows():
        assert units == tuned.height
        cell = expected[sorted(BASIC).index(a), sorted(BASIC).index(b)]
        assert similarity == pytest.approx(cell)


def test_response_to_morphs(studied: Warehouse) -> None:
    ends = {"morph_from": "anger", "morph_to": "fear"}
    rows = ask(studied, "morph_response", **KEY, morphs="morphs", **ends)
    tuned = matrix(studied, PLACE)
    values = np.random.default_rng(0).uniform(size=(15, UNITS)).astype(np.float32)
    for column, name in (("units_of_first", "anger"), ("units_of_second", "fear")):
        units = tuned.filter(preferred=name)["unit_id"].to_numpy()
        assert len(units)
        means = values[:, units].astype(float).reshape(3, 5, -1).mean(axis=(0, 2))
        np.testing.assert_allclose(rows[column], means, rtol=1e-9)
    assert rows["morph_level"].to_list() == [0, 0.25, 0.5, 0.75, 1]
