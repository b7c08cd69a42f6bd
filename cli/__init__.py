"""The command line ``fexp``: each command parses, calls one library function and prints."""

from fexp_store.cli import analyses, demo, ingest, networks, query, stimuli, stimuli_made, warehouse
from fexp_store.cli.app import app

for module in (warehouse, stimuli, networks, ingest, analyses, query, demo):
    module.add_to(app)

__all__ = ["app", "stimuli_made"]
