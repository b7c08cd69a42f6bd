"""Study files: the line of what is wrong, and only what is missing is run."""

from __future__ import annotations

import re
import shutil
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from support.planted import add_network, morph_rows, plant, prototype_rows, register_rows
from support.writing import Fexp

from fexp_store import BadInput, Warehouse
from fexp_store.analyses.comparison.compare import Options as CompareOptions
from fexp_store.analyses.comparison.compare import compare
from fexp_store.analyses.expressions.decode import Options as DecodeOptions
from fexp_store.analyses.expressions.decode import decode
from fexp_store.options import make
from fexp_store.progress import no_bar
from fexp_store.study.file import read_study
from fexp_store.study.run import check, run_study
from fexp_store.warehouse.place import Place

ROOT = Path(__file__).parents[2]
STUDY = """\
title = "Planted"

[[sets]]
name = "faces"

[[sets]]
name = "morphs"

[[networks]]
name = "one"
layers = ["planted"]

[[networks]]
name = "two"
layers = ["planted"]

[[analyses]]
run = "select"
stimuli = "faces"
alpha = 0.05

[[analyses]]
run = "decode"
stimuli = "faces"
folds = 3
shuffles = 2

[[analyses]]
run = "confuse"
stimuli = "faces"
resamples = 5

[[analyses]]
run = "categorize"
stimuli = "faces"
morphs = "morphs"
networks = ["one"]
resamples = 5

[[analyses]]
run = "compare"
stimuli = "faces"
"""


CIRCULAR = r'\1\nselection = "circular"'


@pytest.fixture
def planted(empty: Warehouse) -> Warehouse:
    """Two networks with responses to prototypes and morphs of eight people."""
    people = [f"p{i}" for i in range(8)]
    register_rows(empty, "faces", prototype_rows(people))
    levels = np.linspace(0, 1, 5)
    register_rows(empty, "morphs", morph_rows(people, [("anger", "fear")], levels))
    rng = np.random.default_rng(0)
    pattern = np.kron(np.eye(6), np.ones(3)) * 3
    for name in ("one", "two"):
        add_network(empty, name, 18)
        plant(empty, name, "faces", np.tile(pattern, (8, 1)) + rng.normal(size=(48, 18)))
        morphs = (1 - levels[:, None]) * pattern[0] + levels[:, None] * pattern[2]
        plant(empty, name, "morphs", np.tile(morphs, (8, 1)) + rng.normal(size=(40, 18)))
    return empty


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "study.toml"
    path.write_text(text)
    return path


@pytest.mark.slow
def test_a_study_runs_what_is_missing_and_nothing_else(planted: Warehouse, tmp_path: Path) -> None:
    path = write(tmp_path, STUDY)
    study = read_study(path)
    before = check(planted, study)
    assert before.filter("done")["step"].to_list() == [
        "set faces",
        "set morphs",
        "network one",
        "network two",
        "ingest one planted on faces",
        "ingest one planted on morphs",
        "ingest two planted on faces",
    ]
    first = run_study(planted, study, no_bar)
    assert first["ran"].to_list() == [not done for done in before["done"]]
    assert first.filter("ran").height == 8
    assert check(planted, study)["done"].all()
    count = "SELECT count(*) FROM runs"
    runs = planted.frame(count).item()
    assert not run_study(planted, study, no_bar)["ran"].any()
    assert planted.frame(count).item() == runs == 8
    changed = read_study(write(tmp_path, STUDY.replace("folds = 3", "folds = 4")))
    again = run_study(planted, changed, no_bar)
    assert again.filter("ran")["step"].to_list() == [
        "decode one planted on faces",
        "decode two planted on faces",
        "compare 2 layers on faces",
    ]
    reselected = read_study(write(tmp_path, STUDY.replace("0.05", "0.04")))
    once_more = run_study(planted, reselected, no_bar).filter("ran")["step"].to_list()
    assert once_more == [
        "select one planted on faces",
        "select two planted on faces",
        *again.filter("ran")["step"],  # folds are 3 again; nested selection reads no other run
    ]
    circular = re.sub(r'(run = "(decode|confuse|categorize|compare)")', CIRCULAR, STUDY)
    for alpha in ("0.05", "0.03"):
        text = write(tmp_path, circular.replace("0.05", alpha))
        assert run_study(planted, read_study(text), no_bar).filter("ran").height == 8


WRONG = {
    "an unknown section": ("[[sets]]\n", "[[set]]\n", 3, "unknown key 'set'"),
    "an unknown key": ("folds = 3", "fold = 3", 25, "unknown key 'fold'"),
    "an option of another analysis": ("alpha = 0.05", "folds = 3", 20, "unknown key 'folds'"),
    "a wrong type": (
        "folds = 3",
        'folds = "3"',
        25,
        "folds must be a whole number from 2 to 10000, not '3'.",
    ),
    "a truth for a number": ("folds = 3", "folds = true", 25, "folds must be a whole number"),
    "layers as text": ('["planted"]', '"planted"', 11, "layers must be a list of texts"),
    "a set that is not declared": ('morphs = "morphs"', 'morphs = "m"', 36, "'m' is none of the"),
    "a network that is not": ('networks = ["one"]', 'networks = ["1"]', 37, "'1' is none of the"),
    "an unknown analysis": ('run = "decode"', 'run = "encode"', 23, "run must be one of select"),
    "a key that is missing": ('morphs = "morphs"\n', "", 33, "morphs is needed"),
    "a name twice": ('name = "two"', 'name = "one"', 14, "one is declared twice"),
    "people that are none": (
        'name = "faces"',
        "render = {identities = 0}\nname = 'faces'",
        4,
        "identities must be a whole number from 1 to 100000, not 0.",
    ),
    "a kernel": ("folds = 3", 'kernel = "cubic"', 25, "kernel must be linear or rbf, not 'cubic'."),
    "too few folds": ("folds = 3", "folds = 1", 25, "folds must be a whole number from 2 to 10000"),
    "a layout without images": (
        'name = "faces"',
        'name = "faces"\nlayout = "kdef"',
        5,
        "layout goes with a manifest or a directory",
    ),
    "an unknown option of ingest": (
        'name = "one"',
        'name = "one"\ningest = { precison = "bf16" }',
        11,
        "unknown key 'precison'",
    ),
    "two origins": (
        'name = "morphs"',
        'name = "morphs"\nmanifest = "a.csv"\nmorph = {of = "faces"}',
        9,
        "one of manifest and morph",
    ),
    "an unknown key in braces": (
        'name = "morphs"',
        'name = "morphs"\nmorph = {of = "faces", level = 3}',
        8,
        "unknown key 'level'",
    ),
    "morphs of a set that comes later": (
        'name = "faces"',
        'name = "faces"\nmorph = {of = "morphs"}',
        5,
        "'morphs' is none of the [[sets]] before it",
    ),
    "no TOML": ("folds = 3", "folds =", 25, "Invalid value"),
}


@pytest.mark.parametrize("name", WRONG)
def test_the_line_of_what_is_wrong_is_named(tmp_path: Path, name: str) -> None:
    old, new, line, message = WRONG[name]
    path = write(tmp_path, STUDY.replace(old, new, 1))
    with pytest.raises(BadInput, match=re.escape(message)) as error:
        read_study(path)
    assert f"line {line}" in str(error.value)


MISSING = {
    "a set": ('name = "morphs"\n', 'name = "more"\n', 6, "The set more is not registered"),
    "a network": ('name = "two"', 'name = "three"', 13, "There is no architecture 'three'"),
    "a layer": ('["planted"]', '["deep"]', 9, "one has no layer 'deep'"),
    "a set that is something else": (
        'name = "faces"\n',
        'name = "faces"\nrender = {identities = 8}\n',
        3,
        "registered",
    ),
    "a network that is something else": (
        'name = "two"\n',
        'name = "two"\ngroup = "twins"\n',
        13,
        "A network two with other content is registered already",
    ),
    "a file of units": ("folds = 3", 'units = "u.txt"', 22, "The file of units u.txt does not"),
    "a manifest": (
        'name = "morphs"\n',
        'name = "more"\nmanifest = "none.csv"\n',
        6,
        "The manifest none.csv of more does not exist",
    ),
}


@pytest.mark.parametrize("name", MISSING)
def test_what_the_warehouse_lacks_is_named_before_anything_runs(
    planted: Warehouse, tmp_path: Path, name: str
) -> None:
    old, new, line, message = MISSING[name]
    text = STUDY.replace('morphs = "morphs"', 'morphs = "more"') if "more" in new else STUDY
    study = read_study(write(tmp_path, text.replace(old, new, 1)))
    with pytest.raises(BadInput, match=message) as error:
        run_study(planted, study, no_bar)
    assert f"line {line}" in str(error.value)
    assert planted.frame("FROM runs").is_empty()


@pytest.mark.parametrize("name", ["zhou2022", "demo"])
def test_the_examples_are_valid(name: str) -> None:
    study = read_study(ROOT / "examples" / f"{name}.toml")
    assert study.analyses[0].analysis.name == "select"


RENDERED = """\
[[sets]]
name = "faces"
render = { identities = 2, seed = 3, size = 64, greyscale = true }

[[sets]]
name = "morphs"
morph = { of = "faces", continua = "anger-fear", levels = 3 }

[[networks]]
name = "dlib"
architecture = "dlib_face"
untrained = true
seed = 1
layers = ["embedding"]

[[analyses]]
run = "select"
stimuli = "faces"
factor = "identity"

[[analyses]]
run = "select"
stimuli = "faces"
alpha = 0.2

[[analyses]]
run = "tune"
stimuli = "faces"

[[analyses]]
run = "decode"
stimuli = "faces"
units = "units.txt"
shuffles = 1

[[analyses]]
run = "categorize"
stimuli = "faces"
morphs = "morphs"
units = "all"
resamples = 2
"""


@pytest.mark.slow
def test_a_study_makes_its_images_and_networks(empty: Warehouse, tmp_path: Path) -> None:
    (tmp_path / "units.txt").write_text("3\n5\n8\n")
    study = read_study(write(tmp_path, RENDERED))
    assert run_study(empty, study, no_bar)["ran"].all()
    sets = dict(empty.frame("SELECT stimulus_set, count(*) FROM stimuli GROUP BY ALL").rows())
    assert sets == {"faces": 12, "morphs": 6}
    assert set(empty.frame("SELECT DISTINCT morph_level FROM identification").to_series()) == {
        0,
        0.5,
        1,
    }
    assert empty.frame("SELECT DISTINCT units FROM decoding").item() == (
        "units.txt (3 units, sha256 " + sha256(b"3\n5\n8\n").hexdigest()[:12] + ")"
    )
    tuned = empty.frame("SELECT count(DISTINCT unit_id) FROM tuning").item()
    selected = empty.frame("SELECT count_if(selective) FROM selectivity").item()
    assert tuned == selected > 0
    assert empty.frame("FROM identity_selectivity").height == 128
    assert not run_study(empty, study, no_bar)["ran"].any()
    for old, new, line in (("seed = 3", "seed = 4", 1), ("levels = 3", "levels = 5", 5)):
        changed = read_study(write(tmp_path, RENDERED.replace(old, new)))
        with pytest.raises(BadInput, match=f"line {line}: .*is . here and . there"):
            check(empty, changed)
    other = read_study(write(tmp_path, RENDERED.replace("seed = 1", "seed = 2")))
    with pytest.raises(BadInput, match="line 9: A network dlib with other content"):
        check(empty, other)


@pytest.mark.slow
def test_a_foreign_run_makes_a_step_missing_and_running_the_study_replaces_it(
    planted: Warehouse, tmp_path: Path
) -> None:
    study = read_study(write(tmp_path, STUDY))
    run_study(planted, study, no_bar)
    decode(planted, Place("one", "planted", "faces"), make(DecodeOptions, {"folds": 4}))
    found = check(planted, study).filter(~pl.col("done"))
    assert found["step"].to_list() == ["decode one planted on faces", "compare 2 layers on faces"]
    assert re.search(
        r"run \w{8} of .* folds 4 instead of 3; shuffles 100 instead of 2", found["why"][0]
    )
    places = [Place(name, "planted", "faces") for name in ("one", "two")]
    with pytest.raises(BadInput, match=r"one planted and two planted .* folds 4 .* and 3") as error:
        compare(planted, places, make(CompareOptions, {}))
    assert "\n" not in str(error.value)
    again = run_study(planted, study, no_bar)
    assert again.filter("ran")["step"].to_list() == found["step"].to_list()
    assert check(planted, study)["done"].all()
    shown = planted.frame("SELECT DISTINCT fold FROM decoding WHERE network = 'one'")
    assert shown.height == 3
    stored = planted.frame(
        "SELECT count(DISTINCT run_id) FROM stored.decoding WHERE network = 'one'"
    )
    assert stored.item() == 3


OF_A_FILE = """\
[[sets]]
name = "faces"
[[networks]]
name = "one"
layers = ["planted"]
[[networks]]
name = "two"
layers = ["planted"]
[[analyses]]
run = "decode"
stimuli = "faces"
units = "units.txt"
shuffles = 0
folds = 2
[[analyses]]
run = "compare"
stimuli = "faces"
units = "units.txt"
"""


def test_other_units_in_a_file_of_the_same_name_make_steps_missing(
    planted: Warehouse, tmp_path: Path
) -> None:
    study, file = read_study(write(tmp_path, OF_A_FILE)), tmp_path / "units.txt"
    file.write_text("0\n1\n2\n")
    run_study(planted, study, no_bar)
    file.write_text("2 1\n0\n1\n\n")  # the same units, written otherwise
    assert check(planted, study)["done"].all()
    file.write_text("3\n4\n5\n6\n")
    missing = check(planted, study).filter(~pl.col("done"))
    assert missing["step"].to_list() == [
        *(f"decode {name} planted on faces" for name in ("one", "two")),
        "compare 2 layers on faces",
    ]
    assert run_study(planted, study, no_bar).filter("ran").height == 3
    assert check(planted, study)["done"].all()
    for view in ("decoding", "comparison"):
        units = planted.frame(
            f"SELECT DISTINCT parameters ->> 'units' AS u FROM {view} JOIN runs USING (run_id)"
        )["u"]
        assert len(units) == 2
        assert all(re.fullmatch(r"units\.txt \([34] units, sha256 \w{12}\)", u) for u in units)
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(tmp_path, elsewhere, ignore=lambda *_: ["warehouse", "elsewhere"])
    assert check(planted, read_study(elsewhere / "study.toml"))["done"].all()
    file.write_text("three\n")
    with pytest.raises(BadInput, match=r"study\.toml line 9: .*holds something else than unit_ids"):
        check(planted, study)


@pytest.mark.slow
def test_two_studies_that_want_one_key_otherwise_are_told_which_run_stands(
    planted: Warehouse, tmp_path: Path
) -> None:
    three = read_study(write(tmp_path, STUDY))
    four = read_study(write(tmp_path, STUDY.replace("folds = 3", "folds = 4")))
    run_study(planted, three, no_bar)
    run_study(planted, four, no_bar)
    assert check(planted, four)["done"].all()
    missing = check(planted, three).filter(~pl.col("done"))
    assert missing.height == 3
    *decodings, comparison = missing["why"]
    assert all("running this replaces it in the views" in why for why in decodings)
    assert comparison == "reads what is missing above"


@pytest.mark.slow
def test_two_runs_of_a_study_at_once_do_each_step_once(planted: Warehouse, tmp_path: Path) -> None:
    path = write(tmp_path, STUDY)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(_run, planted.location, path) for _ in range(2)]
        ran = [set(job.result()) for job in jobs]
    assert len(ran[0] | ran[1]) == 8
    assert not ran[0] & ran[1]
    assert planted.frame("SELECT count(*) FROM runs").item() == 8
    assert check(planted, read_study(path))["done"].all()


def _run(location: str, path: Path) -> list[str]:
    ran = run_study(Warehouse(location), read_study(path), no_bar)
    return ran.filter("ran")["step"].to_list()


def test_layers_of_a_network_are_compared_as_two(empty: Warehouse, tmp_path: Path) -> None:
    register_rows(empty, "faces", prototype_rows([f"p{i}" for i in range(8)]))
    rng = np.random.default_rng(0)
    pattern = np.kron(np.eye(6), np.ones(3))
    add_network(empty, "one", 18, layers=("planted", "deep"))
    for layer, strength in (("planted", 0.4), ("deep", 2)):
        values = np.tile(pattern, (8, 1)) * strength + rng.normal(size=(48, 18))
        plant(empty, "one", "faces", values, layer)
    text = """\
[[sets]]
name = "faces"
[[networks]]
name = "one"
layers = ["planted", "deep"]
[[analyses]]
run = "decode"
stimuli = "faces"
units = "all"
shuffles = 0
[[analyses]]
run = "compare"
stimuli = "faces"
units = "all"
"""
    run_study(empty, read_study(write(tmp_path, text)), no_bar)
    (row,) = empty.frame("FROM comparison WHERE sampled_by = 'fold'").iter_rows(named=True)
    assert (row["network_a"], row["layer_a"], row["network_b"], row["layer_b"]) == (
        "one",
        "deep",
        "one",
        "planted",
    )
    means = dict(
        empty.frame("SELECT layer, avg(accuracy) FROM decoding GROUP BY layer").iter_rows()
    )
    assert (row["mean_a"], row["mean_b"]) == pytest.approx((means["deep"], means["planted"]))
    assert row["mean_a"] > row["mean_b"] + 0.1


def test_a_study_at_the_command_line(fexp: Fexp, planted: Warehouse, tmp_path: Path) -> None:
    assert fexp("study", "init", "new.toml").returncode == 0
    refused = fexp("study", "init", "new.toml")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    write(tmp_path, STUDY)
    checked = fexp("-w", planted.location, "study", "check", "study.toml", "-f", "csv")
    assert checked.stdout.count("false") == 8, checked.stderr
    done = fexp("-w", planted.location, "study", "run", "study.toml", "-f", "csv")
    assert (done.returncode, done.stdout.count("true")) == (0, 8), done.stderr
