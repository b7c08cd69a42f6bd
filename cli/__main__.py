"""``python -m fexp_store.cli``."""

from fexp_store.cli import app

app()
