"""``python -m benchmarks [PART…]``: run some parts, or all; each prints a table of figures."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable

from benchmarks import (
    analyses,
    calibration,
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

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all by default")
    chosen = parser.parse_args().parts or list(PARTS)
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    for name in chosen:
        print(f"\n## {name}\n", flush=True)
        PARTS[name]()
