"""The wheel: one import package, with everything it needs in it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh checkout: what git tracks and what is about to be added."""
    source = tmp_path_factory.mktemp("source")
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listing.split("\0")):
        if (ROOT / name).exists():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name, follow_symlinks=False)
    return source


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a fresh checkout."""
    out = tmp_path_factory.mktemp("wheel")
    command = ["-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(source)]
    subprocess.run([sys.executable, *command], check=True, capture_output=True)
    (built,) = out.glob("*.whl")
    return built


def test_the_wheel_holds_one_import_package(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"fexp_store", "fexp_store-0.1.0.dist-info"}
    tracked = [p for folder in ("cli", "schemas", "fexp_store") for p in (ROOT / folder).rglob("*")]
    for path in tracked:
        if path.suffix in {".py", ".sql", ".json", ".csv", ".typed"}:
            inside = str(path.relative_to(ROOT)).removeprefix("fexp_store/")
            assert f"fexp_store/{inside}" in names


def test_an_installed_wheel_works_and_leaves_no_other_names(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--no-deps", wheel]
    subprocess.run(install, check=True, capture_output=True)
    # The dependencies are lent by this environment; they would be 6 GB to install once more.
    target = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    Path(target, "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    run = {"cwd": tmp_path, "capture_output": True, "text": True, "check": False}
    for name in ("cli", "schemas", "warehouse"):
        done = subprocess.run([python, "-c", f"import {name}"], **run)  # type: ignore[call-overload]
        assert "ModuleNotFoundError" in done.stderr
    place = subprocess.run([python, "-c", "import fexp_store; print(fexp_store.__file__)"], **run)  # type: ignore[call-overload]
    assert place.stdout.startswith(str(tmp_path))
    shown = subprocess.run([tmp_path / "venv" / "bin" / "fexp", "--help"], **run)  # type: ignore[call-overload]
    assert shown.returncode == 0
    assert "ingest" in shown.stdout
    made = subprocess.run([tmp_path / "venv" / "bin" / "fexp", "init"], **run)  # type: ignore[call-overload]
    assert made.returncode == 0, made.stderr


def test_a_checkout_is_imported_without_the_wheel(source: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    show = "import sysconfig; print(sysconfig.get_path('purelib'))"
    target = subprocess.run([python, "-c", show], capture_output=True, text=True, check=True)
    # Dependencies are lent; what finds an installed fexp_store is not, since .pth files of lent
    # folders are not read.
    Path(target.stdout.strip(), "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    elsewhere = subprocess.run(
        [python, "-c", "import fexp_store"], cwd=tmp_path, capture_output=True, check=False
    )
    assert elsewhere.returncode != 0
    code = "import fexp_store, fexp_store.cli as c; print(fexp_store.__file__, c.__file__)"
    for interpreter in (python, sys.executable):  # without the wheel, and beside an installed one
        done = subprocess.run(
            [interpreter, "-c", code], cwd=source, capture_output=True, text=True, check=True
        )
        package = source / "fexp_store"
        assert done.stdout.split() == [
            str(package / "__init__.py"),
            str(package / "cli" / "__init__.py"),
        ]
