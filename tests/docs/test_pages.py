"""The pages of the documentation: all are named where people look for them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(page.name for page in (ROOT / "docs").glob("*.md") if page.name != "index.md")


@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_named_by_the_index_and_the_navigation(page: str) -> None:
    index = (ROOT / "docs" / "index.md").read_text("utf-8")
    assert f"]({page})" in index
    assert f"  - {page}\n" in (ROOT / "mkdocs.yml").read_text("utf-8")


def test_every_module_that_the_architecture_names_is_there() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    named = re.findall(r"`((?:[a-z_]+/)*[a-z_]+\.(?:py|sql|csv|json))`", text)
    assert len(named) > 15
    for path in named:
        places = [ROOT / path, ROOT / "fexp_store" / path, *(ROOT / "fexp_store").glob(f"*/{path}")]
        folders = (ROOT / "fexp_store").rglob(path)
        assert any(place.exists() for place in (*places, *folders)), path
