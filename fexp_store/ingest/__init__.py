"""Ingest: networks run on images once, and their activations are stored."""

from fexp_store.ingest.ingest import Ingested, ingest
from fexp_store.ingest.request import Options, Prepared, prepare

__all__ = ["Ingested", "Options", "Prepared", "ingest", "prepare"]
