"""The command line ``fexp``: each command parses, calls one library function and prints."""

from fexp_store.cli import (
    activations,
    analyses,
    demo,
    ingest,
    made,
    networks,
    query,
    responses,
    status,
    stimuli,
    study,
    upgrade,
    verify,
    warehouse,
)
from fexp_store.cli.app import app

for module in (
    warehouse,
    status,
    verify,
    upgrade,
    stimuli,
    study,
    networks,
    ingest,
    activations,
    analyses,
    query,
    demo,
    responses,
):
    module.add_to(app)

__all__ = ["app", "made"]
