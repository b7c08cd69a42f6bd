"""Every test that docs/security.md names is there, and every attack is named."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_tests_that_are_named_are_all_attacks_that_there_are() -> None:
    text = (ROOT / "docs" / "security.md").read_text("utf-8")
    named = set(re.findall(r"`(tests/[\w/]+\.py)`", text))
    assert all((ROOT / name).is_file() for name in named)
    attacks = (ROOT / "tests" / "attacks").glob("test_*.py")
    assert {path.relative_to(ROOT).as_posix() for path in attacks} <= named
