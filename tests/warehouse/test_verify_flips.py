"""Whichever bit is flipped: `verify` finds it, and no answer is ever another number."""

from __future__ import annotations

import pytest

from benchmarks.flips import DATA, LOGS, count_flips
from fexp_store import Warehouse


@pytest.mark.slow
def test_every_flip_of_data_is_found_and_no_answer_is_wrong(damaged: Warehouse) -> None:
    counted = count_flips(damaged, DATA, 28, seed=1)
    assert counted.changed == []
    assert counted.unfound == []
    assert counted.flips == counted.found == 28


@pytest.mark.slow
def test_a_flip_of_a_log_is_found_or_changes_nothing(damaged: Warehouse) -> None:
    counted = count_flips(damaged, LOGS, 12, seed=2)
    assert counted.flips == 12
    assert [said for said in counted.changed if said.split(":")[0] in counted.unfound] == []
