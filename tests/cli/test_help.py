"""The command line is there at once: what takes long to import waits until it is used."""

from __future__ import annotations

import json
import subprocess
import sys

SLOW = {"torch", "torchvision", "sklearn", "scipy", "PIL", "pyvista", "anny", "h5py", "safetensors"}
CODE = """
import json, sys
from typer.main import get_command
from fexp_store.cli import app
def show(command, *words):
    command([*words, "--help"], prog_name="fexp", standalone_mode=False)
root = get_command(app)
show(root)
for name, command in root.commands.items():
    for inner in getattr(command, "commands", ()):
        show(root, name, inner)
    show(root, name)
print(json.dumps([name.partition(".")[0] for name in sys.modules]), file=sys.stderr)
"""


def test_no_help_imports_what_takes_long() -> None:
    command = [sys.executable, "-c", CODE]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    imported = set(json.loads(done.stderr))
    assert done.stdout.count("Usage: fexp") > 25
    assert "fexp_store" in imported
    assert imported.isdisjoint(SLOW)
