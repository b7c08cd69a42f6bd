"""All convolutions of VGG-16 in one pass: a file a layer, and memory within what was allowed."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.ingest import bare_loop
from benchmarks.setting import add_photographs, in_own_process, new_warehouse, print_table
from fexp_store import Warehouse
from fexp_store.ingest import Options, ingest
from fexp_store.networks import registry
from fexp_store.networks.records import Options as Network
from fexp_store.warehouse.networks import registered

IMAGES = 24
MEMORIES = (256, 1024)  # MiB


def run() -> None:
    """Measure each in a process of its own, and print."""
    rows = []
    for memory in (None, *MEMORIES):
        with tempfile.TemporaryDirectory() as directory:
            wh = new_warehouse(directory)
            registry.add(wh, "vgg", Network(architecture="vgg_face", untrained=True))
            add_photographs(wh, "photographs", IMAGES)
            layers = [
                name
                for name in registered(wh, "vgg").all_layers()
                if name.startswith("conv") and ":" not in name
            ]
            if memory is None:
                _, peak = in_own_process(_bare, wh.location, layers)
            else:
                _, peak = in_own_process(_ingest, wh.location, layers, memory)
            stored = len(list(Path(wh.location).glob("activations/**/*.parquet")))
            rows.append((memory or "the network alone", len(layers), stored, f"{peak / 1e6:.0f}"))
    print(f"VGG-16's convolutions, {IMAGES} images.\n")
    print_table(("--memory, MiB", "layers", "files", "peak RSS, MB"), rows)


def _bare(root: str, layers: list[str]) -> None:
    bare_loop(Warehouse(root), Options(device="cpu"), layers)


def _ingest(root: str, layers: list[str], memory: int) -> None:
    ingest(Warehouse(root), "vgg", layers, "photographs", Options(device="cpu", memory=memory))
