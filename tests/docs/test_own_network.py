"""docs/own-network.md is true: its files, code and commands run, one after the other."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest
from support.forked import Forked
from support.writing import write_photographs

from fexp_store import Warehouse

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "docs" / "own-network.md").read_text("utf-8")


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forked: Forked) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FEXP_WAREHOUSE", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    write_photographs(tmp_path / "photographs", 1)
    names: dict[str, object] = {}
    last = ""
    blocks = re.findall(r"```(python|console)\n(.*?)```", PAGE, re.DOTALL)
    for language, code in blocks:
        if language == "console":
            for command in re.findall(r"^\$ fexp (.*)$", code, re.MULTILINE):
                last = run(forked, command, tmp_path)
        elif named := re.match(r"# (\w+\.py)\n", code):
            Path(named[1]).write_text(code)
        else:
            *start, end = code.strip().splitlines()
            exec("\n".join(start), names)
            names["last"] = eval(end, names)
    del sys.modules["my_module"]
    assert names["last"] == (6, 6)
    assert len(blocks) == 7
    assert PAGE.count("```") == 2 * len(blocks)
    units = {tuple(line.split()) for line in last.splitlines() if line.strip()}
    assert ("mine", "classifier", "6") in units
    assert ("timm_untrained", "fc", "1000") in units
    wh = Warehouse(tmp_path / "warehouse")
    same = "SELECT DISTINCT weights_sha256 FROM networks WHERE network IN ('mine', 'trained')"
    assert wh.frame(same).height == 1
    one, other = (wh.matrix(name, "classifier", "faces").values for name in ("mine", "trained"))
    assert one.tobytes() == other.tobytes()
    training = wh.frame("SELECT training FROM networks WHERE network = 'mine'")
    assert training.item() == "expressions of our own set"


def run(forked: Forked, command: str, folder: Path) -> str:
    done = forked(*shlex.split(command), cwd=folder, seconds=100)
    assert done.code == 0, (command, done.stderr)
    if "my_module.py:" in command:
        assert done.stderr.startswith("Running ")
    return done.stdout.decode()
