"""Commits to Delta tables: files become part of one all at once, and what is checked stays true."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import RemoveAction

from fexp_store.errors import Damaged
from fexp_store.warehouse import delta
from fexp_store.warehouse.parts import Part
from fexp_store.warehouse.storage import Storage

Result = TypeVar("Result")

# Commits of other writers are retried by delta-rs itself; this bounds retries of our own checks.
_ATTEMPTS = 100


@contextmanager
def uncommitted(storage: Storage, folder: str) -> Iterator[list[Part]]:
    """Give a list for the files that are written to a table; on failure they are deleted."""
    written: list[Part] = []
    with storage.writing():
        try:
            yield written
        except BaseException:
            discard(storage, folder, [part.path for part in written])
            raise


def discard(storage: Storage, folder: str, paths: Sequence[str]) -> None:
    """Delete files of a table, but none that its log names: an error may come after a commit."""
    with suppress(Damaged):  # then nobody can say what it names, and vacuum comes later
        named = (
            set(delta.files(delta.open_at(storage, folder))["path"])
            if storage.log(folder)
            else set()
        )
        for path in set(paths) - named:
            storage.delete(f"{folder}/{path}")


def commit(
    storage: Storage,
    folder: str,
    table: DeltaTable,
    written: Sequence[Part],
    properties: CommitProperties,
    removed: Sequence[RemoveAction] = (),
) -> None:
    """Make written files a part of a table, all at once.

    Raises
    ------
    Damaged
        If one is not on the disk, before the commit or after it.
    """
    paths = [f"{folder}/{part.path}" for part in written]
    demand_present(storage, paths)
    table.create_write_transaction(
        [*removed, *(part.action for part in written)],
        mode="append",
        schema=table.schema(),
        partition_by=table.metadata().partition_columns,
        commit_properties=properties,
    )
    demand_present(storage, paths)


def removal(row: Mapping[str, Any], keys: Sequence[str]) -> RemoveAction:
    """Return what takes a file out of a table: a row of `files`, and the partition columns."""
    return RemoveAction(
        path=row["path"],
        data_change=True,
        deletion_timestamp=time.time_ns() // 1_000_000,
        partition_values={key: row[key] for key in keys},
        size=row["bytes"],
    )


def demand_present(storage: Storage, paths: Sequence[str]) -> None:
    """Refuse to go on if another program has deleted files that were just written.

    Raises
    ------
    Damaged
        If one is not on the disk.
    """
    for path in set(paths) - storage.signatures(paths).keys():
        raise Damaged(f"{path} was deleted while it was being stored; run the same command again.")


def serialised(
    storage: Storage,
    name: str,
    keys: Sequence[str],
    attempt: Callable[[DeltaTable, CommitProperties], Result],
    *,
    retries: int = _ATTEMPTS,
) -> Result:
    """Run a check and a commit such that no other commit under one of `keys` comes in between.

    Delta Lake refuses a commit whose application transaction another writer has used since the
    table was read; `attempt` is then run again on the newer table.

    Parameters
    ----------
    retries : int
        How often the library may put a commit behind others that came in between. It does so too
        if one of them has taken away the same file, so who takes files away says 0: `attempt` is
        then run again after any commit.
    """
    with storage.writing():
        for number in range(_ATTEMPTS):
            table = delta.open_table(storage, name)
            marks = [Transaction(key, table.version() + 1) for key in keys]
            how = CommitProperties(app_transactions=marks, max_commit_retries=retries)
            try:
                return attempt(table, how)
            except CommitFailedError as error:
                if "Unsupported table features" in str(error):
                    raise Damaged(
                        f"Another Delta client made the table {name} such that it cannot be "
                        f"written to ({error}); drop the feature there."
                    ) from error
                time.sleep(random.uniform(0, 0.01 * min(number + 1, 10)))  # noqa: S311 (no secret)
    raise Damaged(f"The table {name} could not be committed to in {_ATTEMPTS} attempts.")
