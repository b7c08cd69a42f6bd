"""The README is true: its commands run, and print what it says they print."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.writing import write_photographs

from fexp_store import Warehouse

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")


@dataclass(frozen=True)
class Example:
    """A command of the README and the output that it shows."""

    command: str
    output: str


def examples() -> list[Example]:
    """Commands in console blocks; a command goes on to the next line while a quote is open."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            lines = part.splitlines()
            length = next(n for n in range(1, len(lines) + 1) if _closed("\n".join(lines[:n])))
            found.append(Example("\n".join(lines[:length]), "\n".join(lines[length:]).strip()))
    return found


def _closed(text: str) -> bool:
    try:
        shlex.split(text)
    except ValueError:
        return False
    return True


def run(command: str, directory: Path) -> subprocess.CompletedProcess[str]:
    program, *arguments = shlex.split(command)
    assert program == "fexp"
    environment = {k: v for k, v in os.environ.items() if k != "FEXP_WAREHOUSE"}
    return subprocess.run(
        [sys.executable, "-m", "fexp_store.cli", *arguments],
        capture_output=True,
        text=True,
        cwd=directory,
        env=environment,
        check=False,
    )


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A directory in which `fexp -w warehouse demo` was run, and what it printed."""
    directory = tmp_path_factory.mktemp("readme")
    return directory, run("fexp -w warehouse demo", directory)


def test_make_demo_is_the_command_that_the_readme_shows() -> None:
    recipe = re.search(r"^demo:.*\n\t(.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe is not None
    assert recipe.group(1) == "$(BIN)/fexp -w warehouse demo"
    assert examples()[0].command == "fexp -w warehouse demo"


def test_the_demo_answers(demo: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    directory, done = demo
    assert done.returncode == 0, done.stderr
    shape = _shape(done.stdout)
    assert shape == _shape(examples()[0].output.split("\n\n")[0])
    sheet = re.search(r"drive it most: (\S+\.png)", done.stderr)
    assert sheet is not None
    assert Path(sheet.group(1)).stat().st_size > 10_000
    following = re.search(r"Next: (fexp .*)", done.stderr)
    assert following is not None
    assert run(following.group(1), directory).stdout.count("demo_faces") == 10


def test_the_demo_run_again_answers_the_same_and_does_nothing(
    demo: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    directory, first = demo
    wh = Warehouse(directory / "warehouse")
    query = "SELECT kind, count(*) FROM runs GROUP BY kind ORDER BY kind"
    before = dict(wh.frame(query).rows())
    assert before["select"] == 15
    again = run("fexp -w warehouse demo", directory)
    assert again.stdout == first.stdout
    assert dict(wh.frame(query).rows()) == before


QUESTIONS = [e for e in examples() if e.command.startswith("fexp sql")]


@pytest.mark.parametrize("example", QUESTIONS, ids=lambda e: " ".join(e.command.split())[:60])
def test_a_question_gives_a_table_of_the_shape_shown(
    demo: tuple[Path, subprocess.CompletedProcess[str]], example: Example
) -> None:
    done = run(example.command, demo[0])
    assert done.returncode == 0, done.stderr
    assert _shape(done.stdout) == _shape(example.output)


def test_the_lines_for_duckdb_work(
    demo: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    line = re.compile(r'cd (\S+) && duckdb -readonly (\S+) "(.*?)"')
    found = {match for text in (README, demo[1].stderr) for match in line.findall(text)}
    assert len(found) == 1
    for folder, catalog, query in found:
        open_it = "duckdb.connect(sys.argv[1], read_only=True)"
        code = f"import duckdb, sys; print({open_it}.sql(sys.argv[2]))"
        command = [sys.executable, "-c", code, catalog, query]
        done = subprocess.run(
            command, cwd=demo[0] / folder, capture_output=True, text=True, check=True
        )
        assert "f_expression" in done.stdout


def test_there_are_five_questions() -> None:
    assert len(QUESTIONS) >= 5


def test_the_commands_for_one_s_own_images_work(tmp_path: Path) -> None:
    write_photographs(tmp_path / "photographs", 3)
    own = [e.command for e in examples() if "-w mine" in e.command]
    assert len(own) == 8
    for command in own:
        done = run(command, tmp_path)
        assert done.returncode == 0, done.stderr


def test_the_python_example_gives_what_it_says(
    demo: tuple[Path, subprocess.CompletedProcess[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(demo[0])
    *start, last = code.strip().splitlines()
    names: dict[str, object] = {}
    exec("\n".join(start), names)
    expression, promised = last.split("#")
    assert str(eval(expression, names)) in promised


def test_every_page_that_the_readme_links_to_is_there() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)", README):
        assert (ROOT / target).exists(), target


def _shape(table: str) -> tuple[list[str], int, int]:
    """Header, number of columns and number of rows; digits differ between processors."""
    lines = [line for line in table.splitlines() if line.strip()]
    rule = next(i for i, line in enumerate(lines) if set(line.strip()) == {"─"})
    header = lines[rule - 1].split()
    return header, len(header), len(lines) - rule - 1
