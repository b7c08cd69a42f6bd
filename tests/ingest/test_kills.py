"""Ingests killed at random moments, several at once: the same attack as the benchmark, shorter."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.kills import attack


@pytest.mark.slow
def test_killed_ingests_store_every_activation_once_and_say_the_truth(tmp_path: Path) -> None:
    found = attack(tmp_path, kills=15, seed=1)
    assert found.faults == []
    assert found.kills >= 15
    assert list(tmp_path.glob("*/.local/scratch/*")) == []
