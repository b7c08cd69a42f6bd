"""``python -m fexp_store.cli``."""

from fexp_store.cli import app

if __name__ == "__main__":  # a process that renders imports this module again
    app()
