"""Ingest: networks run on images once, and their activations are stored."""

from fexp_store.ingest.ingest import Ingested, Options, ingest

__all__ = ["Ingested", "Options", "ingest"]
