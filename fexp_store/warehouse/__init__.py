"""The warehouse: Parquet files under Delta logs are the truth, a DuckDB catalog is the index."""

from fexp_store.warehouse.warehouse import Warehouse

__all__ = ["Warehouse"]
