"""docs/exchange.md is true: its code and commands run, one after the other."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import xarray
from support.planted import prototype_rows, register_rows
from support.writing import Fexp

from fexp_store import Warehouse

PAGE = (Path(__file__).parents[2] / "docs" / "exchange.md").read_text("utf-8")


def test_the_page_runs(tmp_path: Path, fexp: Fexp, monkeypatch: pytest.MonkeyPatch) -> None:
    wh = Warehouse.create(tmp_path / "warehouse")
    register_rows(wh, "faces", prototype_rows(["anna", "ben"]))
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for language, code in re.findall(r"```(python|console)\n(.*?)```", PAGE, re.DOTALL):
        if language == "python":
            *start, last = code.strip().splitlines()
            exec("\n".join(start), names)
            names["last"] = eval(last, names)
            np.save("conv5.npy", names["responses"])
        else:
            for command in code.strip().splitlines():
                done = fexp(*shlex.split(command.removeprefix("$ fexp ")))
                assert done.returncode == 0, done.stderr
    assert names["last"] == ((12, 3), (12,), (3,))
    responses = np.asarray(names["responses"], np.float32).reshape(12, -1)
    with xarray.open_dataset("conv5.nc", engine="h5netcdf") as found:
        assert np.array_equal(found["activation"].to_numpy(), responses)
    assert Path("conv5.csv").read_text().count("\n") == 1 + responses.size
    assert len(re.findall("```", PAGE)) == 8


def test_the_formats_that_are_named_are_those_that_are_read_and_written() -> None:
    from fexp_store.warehouse.exchange import export, readers

    incoming, outgoing = PAGE.split("## Out")
    assert set(re.findall(r"`(\.\w+)`", incoming)) == set(readers._FORMATS) - {".hdf5"}
    assert set(re.findall(r"`(\.[a-z]+)`", outgoing)) == set(export._FORMATS)
