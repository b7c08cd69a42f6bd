"""What the parts share: photographs, a cheap network, a process of one's own, a table."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from fexp_store import Warehouse
from fexp_store.expressions import BASIC
from fexp_store.networks.architecture import Architecture, reader
from fexp_store.networks.architectures import ARCHITECTURES
from fexp_store.networks.preprocessing import Preprocessing
from fexp_store.stimuli.photographs.add import add_manifest

UNITS = 512 * 14 * 14


def write_photographs(directory: Path, n_images: int, side: int = 224) -> Path:
    """Write JPEG files of smooth noise, as long to decode as photographs, and their manifest."""
    directory.mkdir()
    rng = np.random.default_rng(0)
    lines = ["path,identity,expression"]
    for i in range(n_images):
        coarse = rng.integers(0, 256, (side // 8, side // 8, 3), np.uint8)
        image = Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)
        image.save(directory / f"{i}.jpg", quality=92)
        lines.append(f"{i}.jpg,p{i // len(BASIC)},{BASIC[i % len(BASIC)]}")
    manifest = directory / "manifest.csv"
    manifest.write_text("\n".join(lines) + "\n")
    return manifest


def add_photographs(wh: Warehouse, name: str, n_images: int, side: int = 224) -> None:
    """Write photographs beside a warehouse, and register them."""
    add_manifest(wh, name, write_photographs(Path(wh.location).parent / name, n_images, side))


def _cheap() -> torch.nn.Module:
    convolution = torch.nn.Conv2d(3, 512, kernel_size=16, stride=16)
    return torch.nn.Sequential(convolution, torch.nn.ReLU())


def allow_cheap_network() -> None:
    """Make the architecture ``cheap``: one convolution and a ReLU, with conv5_3's 100,352 units."""
    ARCHITECTURES["cheap"] = Architecture(
        name="cheap",
        build=_cheap,
        layers={"conv": "1"},
        preprocessing=Preprocessing(224, 224, (128.0,) * 3, (64.0,) * 3),
        training="none",
        read_weights=reader(lambda _path: {}, "none"),
    )


def in_own_process(function: Callable[..., Any], *arguments: Any) -> tuple[Any, int]:
    """Run a function in a fresh process; return its result and the process's peak RSS in bytes."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_measured, function, *arguments).result()


def _measured(function: Callable[..., Any], *arguments: Any) -> tuple[Any, int]:
    result = function(*arguments)
    return result, peak_bytes()


def peak_bytes() -> int:
    """Return the peak RSS of this process; getrusage would give that of the one it came from."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM"))
    return int(peak) * 1024


def print_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a Markdown table."""
    for line in (header, ["---"] * len(header), *rows):
        print("| " + " | ".join(map(str, line)) + " |", flush=True)


def new_warehouse(directory: str | Path) -> Warehouse:
    """Make a warehouse in a directory of its own."""
    return Warehouse.create(Path(directory) / "warehouse")
