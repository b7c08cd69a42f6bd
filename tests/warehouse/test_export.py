"""What is exported is what is stored, bit by bit and with its labels."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import xarray
from numpy.typing import NDArray
from support.planted import prototype_rows, register_rows
from support.writing import Fexp

from fexp_store import BadInput, NotFound, Warehouse

N, SHAPE = 12, (3, 2, 4)
UNITS = 24
FORMATS = ("npz", "npy", "nc", "parquet", "csv")


@pytest.fixture
def values() -> NDArray[np.float32]:
    """Responses over the whole range of float32."""
    bits = np.random.default_rng(3).integers(0, 2**32, (N, UNITS), dtype=np.uint32)
    x = bits.view(np.float32)
    return np.where(np.isfinite(x), x, np.float32(-0.0))


@pytest.fixture
def wh(empty: Warehouse, values: NDArray[np.float32]) -> Warehouse:
    register_rows(empty, "faces", prototype_rows(["anna", "ben"]))
    empty.put("net", "mid", "faces", values.reshape(N, *SHAPE))
    return empty


def from_npz(file: Path) -> tuple[NDArray[np.float32], list[str], list[int]]:
    with np.load(file, allow_pickle=False) as found:
        return found["activation"], found["expression"].tolist(), found["unit_id"].tolist()


def from_npy(file: Path) -> tuple[NDArray[np.float32], None, None]:
    return np.load(file, allow_pickle=False), None, None


def from_nc(file: Path) -> tuple[NDArray[np.float32], list[str], list[int]]:
    with xarray.open_dataset(file, engine="h5netcdf") as found:
        x = found["activation"].transpose("stimulus", "unit").to_numpy()
        return x, found["expression"].to_numpy().tolist(), found["unit_id"].to_numpy().tolist()


def from_long(rows: pl.DataFrame) -> tuple[NDArray[np.float32], list[str], list[int]]:
    rows = rows.sort("stimulus_id", "unit_id")
    n_units = rows["unit_id"].n_unique()
    x = rows["activation"].to_numpy().reshape(-1, n_units)
    labels = rows.unique("stimulus_id", maintain_order=True)["expression"].cast(pl.String)
    return x, labels.to_list(), rows["unit_id"].head(n_units).to_list()


READERS: dict[str, Callable[[Path], tuple[NDArray[np.float32], object, object]]] = {
    "npz": from_npz,
    "npy": from_npy,
    "nc": from_nc,
    "parquet": lambda file: from_long(pl.read_parquet(file)),
    "csv": lambda file: from_long(pl.read_csv(file, schema_overrides={"activation": pl.Float32})),
}


@pytest.mark.parametrize("units", [None, [2, 3, 17]], ids=["all", "some"])
@pytest.mark.parametrize("form", FORMATS)
def test_another_program_reads_what_is_stored(
    wh: Warehouse,
    values: NDArray[np.float32],
    tmp_path: Path,
    form: str,
    units: list[int] | None,
) -> None:
    file = tmp_path / f"out.{form}"
    wh.export("net", "mid", "faces", file, units)
    found, expressions, unit_ids = READERS[form](file)
    wanted = list(range(UNITS)) if units is None else units
    assert found.dtype == np.float32
    assert np.array_equal(found.view(np.uint32), values[:, wanted].view(np.uint32))
    stimuli = wh.frame("FROM stimuli ORDER BY stimulus_id")
    assert expressions in (None, stimuli["expression"].to_list())
    assert unit_ids in (None, wanted)
    assert [path.name for path in tmp_path.iterdir() if path.suffix == file.suffix] == [file.name]


def test_units_carry_where_they_lie(wh: Warehouse, tmp_path: Path) -> None:
    wh.export("net", "mid", "faces", tmp_path / "out.parquet")
    wh.export("net", "mid", "faces", tmp_path / "out.npz")
    rows = pl.read_parquet(tmp_path / "out.parquet").unique("unit_id").sort("unit_id")
    expected = wh.frame("SELECT channel, row, col FROM units ORDER BY unit_id")
    assert rows.select("channel", "row", "col").equals(expected)
    with np.load(tmp_path / "out.npz") as found:
        assert found["row"].tolist() == expected["row"].to_list()
        assert (str(found["network"]), str(found["layer"])) == ("net", "mid")


@pytest.mark.parametrize("form", [form for form in FORMATS if form != "csv"])
def test_what_was_exported_comes_in_again_bit_by_bit(
    wh: Warehouse, values: NDArray[np.float32], tmp_path: Path, form: str
) -> None:
    wh.export("net", "mid", "faces", tmp_path / f"out.{form}")
    wh.put("copy", "mid", "faces", tmp_path / f"out.{form}", shape=SHAPE)
    found = wh.matrix("copy", "mid", "faces").values
    assert np.array_equal(found.view(np.uint32), values.view(np.uint32))


def test_an_exported_file_is_not_taken_for_another_set(wh: Warehouse, tmp_path: Path) -> None:
    register_rows(wh, "others", prototype_rows(["carl", "dora"]))
    wh.export("net", "mid", "faces", tmp_path / "out.npz")
    with pytest.raises(BadInput, match="no such stimulus"):
        wh.put("copy", "mid", "others", tmp_path / "out.npz")


def test_what_cannot_be_written_is_refused_and_leaves_nothing(
    wh: Warehouse, tmp_path: Path
) -> None:
    (tmp_path / "there.npz").write_text("mine")
    (tmp_path / "link.npz").symlink_to(tmp_path / "nowhere.npz")
    before = sorted(tmp_path.iterdir())
    for name, sentence in (
        ("there.npz", "is there already"),
        ("link.npz", "is there already"),
        (Path(wh.location, "reports", "out.npz"), "warehouse"),
        ("out.xlsx", "must end in one of"),
        ("nowhere/out.npz", "There is no folder"),
    ):
        with pytest.raises(BadInput, match=sentence):
            wh.export("net", "mid", "faces", tmp_path / name)
    with pytest.raises(BadInput, match="units must ascend"):
        wh.export("net", "mid", "faces", tmp_path / "out.npz", [3, 2])
    with pytest.raises(NotFound):
        wh.export("net", "top", "faces", tmp_path / "out.npz")
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "there.npz").read_text() == "mine"


@pytest.mark.parametrize("form", FORMATS)
def test_an_export_that_is_interrupted_leaves_nothing(
    wh: Warehouse, tmp_path: Path, form: str
) -> None:
    before = sorted(tmp_path.iterdir())

    def interrupted(total: int) -> Callable[[int], None]:
        def advance(_: int) -> None:
            raise KeyboardInterrupt

        return advance

    wh.bar = lambda _: nullcontext(interrupted)
    with pytest.raises(KeyboardInterrupt):
        wh.export("net", "mid", "faces", tmp_path / f"out.{form}")
    assert sorted(tmp_path.iterdir()) == before


def test_the_command_writes_some_units(
    wh: Warehouse, values: NDArray[np.float32], tmp_path: Path, fexp: Fexp
) -> None:
    (tmp_path / "units.txt").write_text("5\n1\n")
    command = ("-w", wh.location, "export", "-n", "net", "-l", "mid", "-s", "faces")
    done = fexp(*command, "--units", "units.txt", "--to", "some.npy")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert np.array_equal(np.load(tmp_path / "some.npy"), values[:, [1, 5]])
    again = fexp(*command, "--to", "some.npy")
    assert (again.returncode, again.stderr.count("\n")) == (1, 1)
