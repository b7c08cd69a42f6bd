"""Columns of an answer in types that Delta Lake has, so that every number stays what it is."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import Schema

from fexp_store.errors import BadInput


def storable(schema: pa.Schema) -> pa.Schema:
    """Return the columns in types that can be stored.

    Unsigned integers become signed ones with room for them, times of day text, and timestamps are
    kept to the microsecond; within lists, structs and maps too.

    Raises
    ------
    BadInput
        If a column cannot be stored, by its type or its name.
    """
    names = [name.lower() for name in schema.names]
    for name in schema.names:
        if name.lower() == "run_id" or names.count(name.lower()) > 1:
            raise BadInput(
                f"The column {name} cannot be stored: names differ by more than capital letters, "
                "and run_id is added. Rename it with AS."
            )
    fields = [pa.field(field.name, _storable(field.type)) for field in schema]
    for field in fields:
        try:
            Schema.from_arrow(pa.schema([field]))
        except Exception as error:
            raise BadInput(
                f"The column {field.name} is of the type {field.type}, which cannot be stored; "
                "write it as text: CAST(… AS VARCHAR)."
            ) from error
    return pa.schema(fields)


def as_stored(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """Cast a column to the type that `storable` said."""
    return pc.cast(column, options=pc.CastOptions(kind, allow_time_truncate=True))


def _storable(kind: pa.DataType) -> pa.DataType:
    of = pa.types
    if of.is_map(kind):
        return pa.map_(_storable(kind.key_type), _storable(kind.item_type))
    if of.is_struct(kind):
        return pa.struct(
            [(kind.field(i).name, _storable(kind.field(i).type)) for i in range(kind.num_fields)]
        )
    if of.is_list(kind) or of.is_large_list(kind) or of.is_fixed_size_list(kind):
        return pa.list_(_storable(kind.value_type))
    if of.is_dictionary(kind):
        return _storable(kind.value_type)
    if of.is_timestamp(kind):
        return pa.timestamp("us", kind.tz and "UTC")
    if of.is_uint64(kind):
        return pa.decimal128(20, 0)
    if of.is_unsigned_integer(kind):
        return pa.int64()
    if of.is_time(kind) or of.is_null(kind):
        return pa.string()
    return kind
