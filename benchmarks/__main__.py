"""``python -m benchmarks [PART…]``: run some parts, or all; each prints a table of figures."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable

from benchmarks import (
    analyses,
    calibration,
    calibration_compare,
    calibration_morphs,
    calibration_selection,
    flips,
    ingest,
    kills,
    layers,
    memory,
    query,
    study,
    write,
)

Part = Callable[[], None]

PARTS: dict[str, Part] = {
    "write": write.run,
    "ingest": ingest.run,
    "memory": memory.run,
    "layers": layers.run,
    "kills": kills.run,
    "flips": flips.run,
    "query": query.run,
    "analyses": analyses.run,
    "calibration": calibration.run,
    "study": study.run,
}

ALONE: dict[str, Part] = {
    "calibration_selection": calibration_selection.run,
    "calibration_compare": calibration_compare.run,
    "calibration_morphs": calibration_morphs.run,
}
"""Pieces of the part ``calibration`` that can be run by themselves."""

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, *ALONE, []], help="all by default")
    chosen = parser.parse_args().parts or list(PARTS)
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    for name in chosen:
        print(f"\n## {name}\n", flush=True)
        (PARTS | ALONE)[name]()
