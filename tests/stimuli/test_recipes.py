"""Recipes: what a set was made by is stored as data, and every difference is named."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.writing import Fexp, state

from fexp_store import BadInput, Conflict, Warehouse
from fexp_store.continua import PAPER
from fexp_store.expressions import BASIC
from fexp_store.options import describe, make
from fexp_store.rights import Rights
from fexp_store.stimuli.make import check_set, make_set
from fexp_store.stimuli.photographs.add import add_manifest
from fexp_store.stimuli.recipe import (
    KINDS,
    Listing,
    Morphing,
    Preparation,
    Recipe,
    Rendering,
    as_data,
    difference,
)
from fexp_store.stimuli.sets import read_set, register, stimulus
from fexp_store.study.file import read_study
from fexp_store.study.sets import check_declared
from fexp_store.warehouse import delta, tables

pytestmark = pytest.mark.slow

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
NUMBERS = st.floats(0.01, 1.5)
CONTINUA = st.lists(st.sampled_from(["-".join(pair) for pair in PAPER]), min_size=1, unique=True)
LABELS = st.lists(st.sampled_from(BASIC), min_size=1, unique=True)
CONDITIONS = st.lists(st.tuples(NAMES.filter(lambda name: "=" not in name), NAMES).map("=".join))
SPECIAL = {
    "continua": CONTINUA.map(",".join) | st.just("paper"),
    "expressions": LABELS.map(",".join) | st.none(),
    "where": CONDITIONS.map(tuple),
    "landmarks": st.none(),
}
BY_KIND = {bool: st.booleans(), int: st.integers(16, 1001), float: NUMBERS, str: NAMES}


def recipes(cls: type[Recipe]) -> st.SearchStrategy[Recipe]:
    """Any recipe of a kind, from what its record says of each option."""
    values = {}
    for option in describe(cls):
        found = st.sampled_from(option.choices) if option.choices else BY_KIND.get(option.kind)
        found = SPECIAL.get(option.name, found)
        values[option.name] = found | st.none() if option.default is None else found
    return st.builds(cls, **values)


ANY = st.one_of(*map(recipes, KINDS.values()))


def from_data(data: Mapping[str, Any]) -> Recipe:
    """Make the recipe anew; landmarks that a file had brought are not in it."""
    cls = KINDS[data["kind"]]
    values = {option.name: data[option.name] for option in describe(cls)}
    return make(cls, values | {"landmarks": None} if "landmarks" in values else values)


@given(ANY)
def test_a_recipe_comes_back_from_its_json(recipe: Recipe) -> None:
    data = as_data(recipe)
    again = from_data(json.loads(json.dumps(data)))
    assert type(again) is type(recipe)
    assert as_data(again) == data
    assert difference(data, json.loads(json.dumps(data))) is None
    same = {"continua", "expressions", "where", "doubles"}  # one meaning, several spellings
    for field in dataclasses.fields(recipe):
        if field.name not in same:
            assert getattr(again, field.name) == getattr(recipe, field.name)


@given(ANY, ANY)
def test_recipes_differ_just_where_a_field_differs(one: Recipe, other: Recipe) -> None:
    here, there = as_data(one), as_data(other)
    differing = {name for name in here if here[name] != there.get(name)} - {"copy", "strict"}
    said = difference(here, there)
    assert (said is None) == (not differing)
    assert said is None or said.split(" is ")[0] in differing


def test_spellings_of_one_meaning_are_one_recipe() -> None:
    spelled = ",".join("-".join(pair) for pair in PAPER)
    assert as_data(Morphing(of="s", continua=spelled)) == as_data(Morphing(of="s"))
    assert as_data(Listing(expressions="SAD, happy")) == as_data(
        Listing(expressions="happiness,sadness")
    )
    assert as_data(Listing(doubles="keep")) == as_data(Listing())
    assert as_data(Listing(layout="kdef"))["doubles"] == "refuse"


@pytest.fixture
def small(empty: Warehouse) -> Warehouse:
    """One rendered person, and morphs of that person's faces by weights."""
    make_set(empty, "faces", Rendering(identities=1, size=32))
    make_set(empty, "morphs", Morphing(of="faces", continua="anger-fear", levels=3))
    return empty


CHANGED: list[tuple[str, Recipe, str]] = [
    ("faces", Rendering(identities=1, size=32, seed=1), "seed is 1 here and 0 there"),
    ("faces", Rendering(identities=1, size=32, jitter=0.5), "jitter is 0.5 here and 0.0 there"),
    ("faces", Listing(), "kind is listed here and rendered there"),
    (
        "morphs",
        Morphing(of="faces", continua="anger-fear", levels=3, warp=True),
        "warp is true here and false there",
    ),
    (
        "morphs",
        Morphing(of="faces", continua="anger-disgust", levels=3),
        "continua is anger-disgust here and anger-fear there",
    ),
    (
        "morphs",
        Morphing(of="faces", continua="anger-fear", levels=3, identities=1),
        "identities is 1 here and null there",
    ),
    ("morphs", Preparation(of="faces"), "kind is prepared here and morphed there"),
]


def test_a_changed_field_is_named_and_changes_nothing(small: Warehouse) -> None:
    before = state(small)
    for name, recipe, words in CHANGED:
        with pytest.raises(Conflict, match=rf"{words}; .* choose another name"):
            check_set(small, name, recipe, images=Path("manifest.csv"))
        if not isinstance(recipe, Listing):
            with pytest.raises(Conflict, match=words):
                make_set(small, name, recipe)
    again = make_set(small, "morphs", Morphing(of="faces", continua="angry-afraid", levels=3))
    assert (again.images, again.new) == (3, False)
    assert state(small) == before


def test_what_a_set_is_made_of_and_by_is_stored(small: Warehouse) -> None:
    stored = {name: json.loads(read_set(small, name)["recipe"][0]) for name in ("faces", "morphs")}
    assert stored["faces"]["renderer"] == stored["morphs"]["renderer"] == "anny"
    assert stored["morphs"]["of_sha256"] == read_set(small, "faces")["set_sha256"][0]
    assert from_data(stored["faces"]) == Rendering(identities=1, size=32)


def test_a_set_of_another_source_of_that_name_is_a_difference(small: Warehouse) -> None:
    rows = [stimulus(0, "0" * 64, "p", "x", expression=e) for e in ("anger", "fear")]
    recipe = as_data(Morphing(of="made", continua="anger-fear", levels=3), of_sha256="f" * 64)
    register(small, "made", rows)
    register(small, "of_made", rows, recipe)
    with pytest.raises(Conflict, match=r"of_sha256 is [0-9a-f]{64} here and f{64} there"):
        check_set(small, "of_made", Morphing(of="made", continua="anger-fear", levels=3))


def landmarks(path: Path, files: list[str], shift: float) -> Path:
    lines = [f"{f},{i},{i % 9 + shift},{i % 7 + shift}" for f in files for i in range(68)]
    path.write_text("\n".join(["file,point,x,y", *lines]))
    return path


def test_landmarks_of_other_content_are_a_difference_and_their_name_is_none(
    empty: Warehouse, photographs: Path, tmp_path: Path
) -> None:
    add_manifest(empty, "set", photographs)
    files = read_set(empty, "set")["file"].to_list()
    one, same = (landmarks(tmp_path / f"{n}.csv", files, 10) for n in ("one", "same"))
    other = landmarks(tmp_path / "other.csv", files, 11)

    def given(path: Path | None) -> Preparation:
        return Preparation(of="set", size=16, landmarks=path)

    assert make_set(empty, "new", given(one)).new
    assert not make_set(empty, "new", given(same)).new
    for wrong in (other, None):
        with pytest.raises(Conflict, match="landmarks is "):
            make_set(empty, "new", given(wrong))
    assert str(tmp_path) not in "".join(read_set(empty, "new")["recipe"])


def test_another_licence_or_citation_is_a_conflict_and_silence_is_none(
    empty: Warehouse, photographs: Path
) -> None:
    ours = Rights(licence="CC-BY-4.0")
    assert make_set(empty, "set", Listing(), ours, images=photographs).new
    assert set(read_set(empty, "set").select("licence", "citation").rows()) == {("CC-BY-4.0", None)}
    for rights in (ours, Rights()):
        assert not make_set(empty, "set", Listing(), rights, images=photographs).new
    for rights, words in (
        (Rights(licence="CC0"), "licence is CC0 here and CC-BY-4.0 there"),
        (Rights(citation="Me"), "citation is Me here and null there"),
    ):
        with pytest.raises(Conflict, match=words):
            make_set(empty, "set", Listing(), rights, images=photographs)
        with pytest.raises(Conflict, match=words):
            check_set(empty, "set", Listing(), rights, images=photographs)


def test_rights_and_recipe_do_not_change_the_id_of_a_set(
    empty: Warehouse, photographs: Path
) -> None:
    make_set(empty, "one", Listing(copy=True), Rights(licence="CC0"), images=photographs)
    make_set(empty, "two", Listing(strict=True), images=photographs)
    assert len({read_set(empty, name)["set_sha256"][0] for name in ("one", "two")}) == 1


def test_a_set_without_a_recipe_is_not_compared_but_its_own_rows_are_nothing_to_do(
    empty: Warehouse, photographs: Path
) -> None:
    add_manifest(empty, "new", photographs)
    rows = read_set(empty, "new").drop(
        "stimulus_set", "set_sha256", "recipe", "licence", "citation"
    )
    register(empty, "old", rows.to_dicts())
    assert not add_manifest(empty, "old", photographs)
    for recipe in (Listing(), Preparation(of="new")):
        with pytest.raises(Conflict, match=r"the recipe is not known, .* choose another name"):
            check_set(empty, "old", recipe, images=photographs)


def test_a_study_lists_photographs_as_the_command_line_does(
    fexp: Fexp, empty: Warehouse, photographs: Path, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"pattern": "{identity}_{expression}.png", "expressions": "sad,fear"}
    flags = [text for key, value in options.items() for text in (f"--{key}", value)]
    done = fexp("-w", empty.location, "stimuli", "add", "set", photographs.parent, *flags, "--copy")
    assert done.returncode == 0, done.stderr
    recipe = Listing(**options, copy=True)
    assert from_data(json.loads(read_set(empty, "set")["recipe"][0])) == from_data(as_data(recipe))
    lines = [f"{key} = {json.dumps(value)}" for key, value in options.items()]
    text = "\n".join(["[[sets]]", 'name = "set"', 'directory = "photographs"', *lines])
    (tmp_path / "study.toml").write_text(text)
    (declared,) = read_study(tmp_path / "study.toml").sets
    assert as_data(declared.recipe) == as_data(Listing(**options))
    check_declared(empty, declared)
    (tmp_path / "study.toml").write_text(text.replace("sad,fear", "sad"))
    (declared,) = read_study(tmp_path / "study.toml").sets
    with pytest.raises(BadInput, match="expressions is sadness here and fear,sadness there"):
        check_declared(empty, declared)


def test_a_set_rendered_before_recipes_were_stored_is_told_by_its_rows(empty: Warehouse) -> None:
    recipe = Rendering(identities=2, size=32, seed=4, neutral=True, greyscale=True)
    make_set(empty, "faces", recipe)
    rows = tables.read(empty.storage, "stimuli").with_columns(recipe=pl.lit(None, pl.String))
    shutil.rmtree(empty.storage.uri("stimuli"))
    delta.create_missing(empty.storage)
    tables.append(empty.storage, "stimuli", rows)
    check_set(empty, "faces", recipe)
    for name, value in (("seed", 5), ("identities", 3), ("neutral", False), ("size", 64)):
        with pytest.raises(Conflict, match=f"{name} is .* here and .* there"):
            check_set(empty, "faces", dataclasses.replace(recipe, **{name: value}))
