"""Morph continua: ends that are the originals, even steps, and prepared images."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from PIL import Image
from support.writing import Fexp, state

from fexp_store import Warehouse
from fexp_store.continua import PAPER, read_continua
from fexp_store.errors import BadInput, Conflict
from fexp_store.stimuli import images
from fexp_store.stimuli.landmarks.store import landmarks_of
from fexp_store.stimuli.made import warp
from fexp_store.stimuli.made.prepared import EYES_AT, prepare_picture
from fexp_store.stimuli.make import make_set
from fexp_store.stimuli.photographs.add import add_manifest
from fexp_store.stimuli.recipe import Morphing, Preparation, Rendering
from fexp_store.stimuli.sets import read_set

pytestmark = pytest.mark.slow

HAPPINESS_ANGER = (("happiness", "anger"),)
SIDE = 96
Points = NDArray[np.float64]


@pytest.fixture(scope="module")
def wh(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Two rendered people, morphed by parameters and as photographs."""
    wh = Warehouse.create(tmp_path_factory.mktemp("morphs") / "warehouse")
    make_set(wh, "faces", Rendering(identities=2, seed=1, size=SIDE))
    make_set(wh, "rendered", morphing("faces", levels=11))
    make_set(wh, "warped", morphing("faces", levels=11, warp=True))
    return wh


def morphing(of: str, **options: Any) -> Morphing:
    return Morphing(of=of, continua="happiness-anger", **options)


def pixels(wh: Warehouse, row: dict[str, object]) -> NDArray[np.float64]:
    content = images.read_registered(wh.storage, row, images.roots(wh.storage))
    return np.asarray(images.decode(content, "image").convert("RGB"), dtype=float)


def strip(wh: Warehouse, name: str, identity: str = "1-000") -> list[dict[str, object]]:
    rows = read_set(wh, name).filter(pl.col("identity") == identity)
    return rows.sort("morph_level").to_dicts()


def test_the_paper_s_continua() -> None:
    assert read_continua("paper") == PAPER
    short = ["-".join(end[:2] for end in pair).upper() for pair in PAPER]
    assert short == ["HA-AN", "HA-FE", "AN-DI", "HA-SA", "AN-FE", "DI-FE", "DI-SA"]
    assert read_continua("happy-AN, fear-sadness") == (("happiness", "anger"), ("fear", "sadness"))


@pytest.mark.parametrize("text", ["", "happiness", "anger-anger", "anger-envy", "paper,paper"])
def test_continua_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(BadInput):
        read_continua(text)


@pytest.mark.parametrize("name", ["rendered", "warped"])
def test_rows_of_morphs_carry_the_continuum_and_the_level(wh: Warehouse, name: str) -> None:
    rows = read_set(wh, name)
    assert rows.height == 22
    assert rows["stimulus_id"].to_list() == list(range(22))
    assert rows["expression"].is_null().all()
    assert set(rows.select("morph_from", "morph_to").rows()) == set(HAPPINESS_ANGER)
    levels = rows.filter(pl.col("identity") == "1-001")["morph_level"]
    assert levels.to_list() == [i / 10 for i in range(11)]


@pytest.mark.parametrize("name", ["rendered", "warped"])
def test_the_ends_are_the_originals(wh: Warehouse, name: str) -> None:
    faces = {(r["identity"], r["expression"]): r for r in read_set(wh, "faces").to_dicts()}
    for identity in ("1-000", "1-001"):
        first, *_between, last = strip(wh, name, identity)
        for row, expression in ((first, "happiness"), (last, "anger")):
            original = faces[identity, expression]
            assert row["image_sha256"] == original["image_sha256"]
            assert np.array_equal(pixels(wh, row), pixels(wh, original))


@pytest.mark.parametrize("name", ["rendered", "warped"])
def test_landmarks_move_in_proportion_to_the_level(wh: Warehouse, name: str) -> None:
    marks = landmarks_of(wh, read_set(wh, name), None)
    rows = strip(wh, name)
    points = [marks[str(row["image_sha256"])] for row in rows]
    away = [np.linalg.norm(p - points[0], axis=1).mean() for p in points]
    levels = [float(str(row["morph_level"])) for row in rows]
    assert np.corrcoef(levels, away)[0, 1] > 0.999
    assert away[-1] > 1


@pytest.mark.parametrize("name", ["rendered", "warped"])
def test_the_picture_changes_a_little_at_every_level(wh: Warehouse, name: str) -> None:
    pictures = [pixels(wh, row) for row in strip(wh, name)]
    steps = [np.abs(b - a).mean() for a, b in pairwise(pictures)]
    assert max(steps) < 0.35 * np.abs(pictures[-1] - pictures[0]).mean()
    assert min(steps) > 0


def test_warped_photographs_look_like_rendered_morphs(wh: Warehouse) -> None:
    """The renderer knows what is in between; a mere cross-dissolve is twice as far from it."""
    rendered, warped = (
        [pixels(wh, row) for row in strip(wh, name)] for name in ("rendered", "warped")
    )
    dissolved = (rendered[0] + rendered[-1]) / 2
    inner = (slice(20, 80), slice(20, 76))
    far = np.sqrt(((dissolved - rendered[5])[inner] ** 2).mean())
    near = np.sqrt(((warped[5] - rendered[5])[inner] ** 2).mean())
    assert near < 0.7 * far


def test_level_0_and_1_of_the_warp_itself_are_the_photographs(wh: Warehouse) -> None:
    marks = landmarks_of(wh, read_set(wh, "faces"), None)
    faces = {r["expression"]: r for r in read_set(wh, "faces").to_dicts()[:6]}
    for one, other in PAPER:
        rows = (faces[one], faces[other])
        pictures = [pixels(wh, row).astype(np.uint8) for row in rows]
        points = [marks[row["image_sha256"]] for row in rows]
        for level, original in enumerate(pictures):
            made = warp.morph(pictures[0], pictures[1], points[0], points[1], float(level))
            assert np.abs(made.astype(int) - original).max() <= 1


def test_a_warp_is_affine_in_each_triangle() -> None:
    square = np.array([[0, 0], [9, 0], [0, 9], [9, 9.0]])
    halves = np.array([[0, 1, 2], [1, 2, 3]], dtype=np.int32)
    place = warp.source_of(square, square * [0.5, 1] + [2, 0], halves, 10, 10)
    columns, rows = np.meshgrid(np.arange(10), np.arange(10))
    assert np.allclose(place, np.stack([columns * 0.5 + 2, rows], axis=-1))


def test_a_ramp_is_sampled_exactly() -> None:
    columns, _rows = np.meshgrid(np.arange(20), np.arange(20))
    ramp = np.repeat((columns * 10)[..., None], 3, axis=2).astype(np.uint8)
    half = warp.similarity(ramp, np.eye(2), np.array([0.5, 0]), 20)
    assert np.array_equal(half[5, 2:18, 0], columns[5, 2:18] * 10 - 5)


def test_the_same_morph_again_is_nothing_to_do_and_another_is_a_conflict(wh: Warehouse) -> None:
    before = state(wh)
    assert make_set(wh, "rendered", morphing("faces", levels=11)).images == 22
    with pytest.raises(Conflict, match="choose another name"):
        make_set(wh, "rendered", morphing("faces", levels=5))
    assert state(wh) == before


def test_a_warehouse_made_before_there_were_landmarks_opens(
    empty: Warehouse, photographs: Path
) -> None:
    add_manifest(empty, "set", photographs / "manifest.csv")
    shutil.rmtree(empty.storage.uri("landmarks"))
    older = Warehouse(empty.location)
    assert older.frame("SELECT count(*) AS n FROM landmarks")["n"].to_list() == [0]
    with pytest.raises(BadInput, match="There are no landmarks of 1-000"):
        make_set(older, "new", morphing("set"))


def test_jittered_faces_are_warped(wh: Warehouse) -> None:
    make_set(wh, "jittered", Rendering(identities=1, seed=1, size=32, jitter=1.0))
    make_set(wh, "jittered_morphs", morphing("jittered", levels=3))
    assert "warped by landmarks" in read_set(wh, "jittered_morphs")["source"][0]


@pytest.fixture(scope="module")
def photographs(wh: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rendered faces on disk as if they were photographs, with a CSV file of landmarks."""
    directory = tmp_path_factory.mktemp("photographs")
    rows = read_set(wh, "faces")
    marks = landmarks_of(wh, rows, None)
    lines, points = ["path,identity,expression"], ["file,point,x,y"]
    for row in rows.to_dicts():
        file = f"{row['identity']}_{row['expression']}.png"
        content = images.read_registered(wh.storage, row, {})
        picture = Image.open(images.io.BytesIO(content)).convert("L").rotate(8)
        Image.merge("RGB", [picture] * 3).save(directory / file)
        lines.append(f"{file},{row['identity']},{row['expression']}")
        turned = turn(marks[row["image_sha256"]])
        points += [f"{file},{i},{x},{y}" for i, (x, y) in enumerate(turned)]
    (directory / "manifest.csv").write_text("\n".join(lines))
    (directory / "landmarks.csv").write_text("\n".join(points))
    return directory


def turn(points: Points) -> Points:
    """Where Pillow's rotation by 8 degrees takes points."""
    angle, middle = np.radians(8), np.full(2, (SIDE - 1) / 2)
    cos, sin = np.cos(angle), np.sin(angle)
    turned: Points = (points - middle) @ np.array([[cos, -sin], [sin, cos]]) + middle
    return turned


def test_preparing_aligns_the_eyes_and_records_the_origin(
    empty: Warehouse, photographs: Path
) -> None:
    add_manifest(empty, "tilted", photographs / "manifest.csv")
    masked = {"greyscale": True, "oval_mask": True, "landmarks": photographs / "landmarks.csv"}
    how = Preparation(of="tilted", align="eyes", size=64, **masked)
    assert make_set(empty, "ready", how).images == 12
    before, after = read_set(empty, "tilted").to_dicts(), read_set(empty, "ready")
    for old, new in zip(before, after.to_dicts(), strict=True):
        assert (new["identity"], new["expression"]) == (old["identity"], old["expression"])
        origin = {"from_set": "tilted", "from_sha256": old["image_sha256"]}
        assert new["attributes"] == origin
        picture = pixels(empty, new)
        assert picture.shape == (64, 64, 3)
        assert np.array_equal(picture[..., 0], picture[..., 2])
        assert picture[0, 0].max() == picture[-1, -1].max() == 0
    for points in landmarks_of(empty, after, None).values():
        eyes = [points[36:42].mean(axis=0), points[42:48].mean(axis=0)]
        assert np.allclose(eyes, EYES_AT * 64 - 0.5)
    # Prepared photographs are morphed with the landmarks that preparing them stored.
    assert make_set(empty, "morphs", morphing("ready", levels=3, identities=1)).images == 3


def test_aligned_pixels_are_where_the_aligned_landmarks_say() -> None:
    picture = np.zeros((90, 120, 3), dtype=np.uint8)
    points = np.zeros((68, 2))
    points[36:42], points[42:48] = [40, 30], [80, 42]
    for column, row in ((40, 30), (80, 42)):
        picture[row - 2 : row + 3, column - 2 : column + 3] = 255
    made, marks = prepare_picture(picture, points, Preparation(of="any", align="eyes", size=100))
    assert np.allclose(marks[[36, 42]], EYES_AT * 100 - 0.5)
    for column, row in np.round(marks[[36, 42]]).astype(int):
        assert made[row, column].min() > 200


def test_webmorph_templates_are_read(empty: Warehouse, photographs: Path, tmp_path: Path) -> None:
    add_manifest(empty, "set", photographs / "manifest.csv")
    rng = np.random.default_rng(0)
    for path in photographs.glob("*.png"):
        points = rng.uniform(10, 80, (189, 2))
        points[:2] = [[32, 40], [64, 40]]
        lines = [f"{x}\t{y}" for x, y in points]
        text = "\n".join(["189", *lines, "1", "0", "2", "0 1"])
        (tmp_path / f"{path.stem}.tem").write_text(text)
    make_set(empty, "new", Preparation(of="set", align="eyes", size=64, landmarks=tmp_path))
    for points in landmarks_of(empty, read_set(empty, "new"), None).values():
        assert np.allclose(points[:2], EYES_AT * 64 - 0.5)


BAD_LANDMARKS = {
    "67 points": (lambda text: text.replace("1-000_fear.png,67,", "1-000_fear.png,66,"),
                  "has 68 points for 1-000_fear.png; it needs each of the 68 points 0 to 67 once"),
    "one point less": (lambda text: "\n".join(
        line for line in text.split("\n") if not line.startswith("1-000_fear.png,67,")),
                  "has 67 points for 1-000_fear.png; it needs each of the 68 points"),
    "no column y": (lambda text: text.replace("point,x,y", "point,x,z"),
                    "needs the columns file, point, x, y"),
    "a word for a number": (lambda text: text.replace("1-000_fear.png,67,", "1-000_fear.png,last,"),
                            "cannot be read"),
    "an image without": (lambda text: text.replace("1-000_fear", "1-009_fear"),
                         "There are no landmarks of 1-000_fear.png"),
    "not a number": (lambda text: text.replace("1-000_fear.png,67,", "1-000_fear.png,67,nan,1\n#"),
                     "cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize(("spoil", "words"), BAD_LANDMARKS.values(), ids=BAD_LANDMARKS)
def test_bad_landmarks_are_one_sentence_and_register_nothing(
    fexp: Fexp, empty: Warehouse, photographs: Path, tmp_path: Path, spoil: object, words: str
) -> None:
    assert callable(spoil)
    add_manifest(empty, "set", photographs / "manifest.csv")
    text = (photographs / "landmarks.csv").read_text()
    (tmp_path / "bad.csv").write_text(spoil(text))
    before = state(empty)
    done = fexp("-w", empty.location, "stimuli", "prepare", "set", "new", "--align", "eyes",
                "--landmarks", "bad.csv")  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1, done.stderr
    assert words in done.stderr
    assert state(empty) == before


BAD_MORPHS = {
    "no landmarks": (("set", "new"), "There are no landmarks of"),
    "an unknown set": (("none", "new"), "There is no stimulus set 'none'"),
    "nobody": (("set", "new", "--continua", "neutral-anger"), "Nobody in the set has all of"),
    "too many": (("set", "new", "--identities", "9"), "Only 2 identities have all of"),
    "one level": (
        ("set", "new", "--levels", "1"),
        "levels must be a whole number from 2 to 1001, not 1",
    ),
    "a name": (("set", "a b"), "'a b' cannot name a stimulus set"),
}


@pytest.mark.parametrize(("arguments", "words"), BAD_MORPHS.values(), ids=BAD_MORPHS)
def test_bad_morphs_are_one_sentence_and_register_nothing(
    fexp: Fexp, empty: Warehouse, photographs: Path, arguments: tuple[str, ...], words: str
) -> None:
    add_manifest(empty, "set", photographs / "manifest.csv")
    before = state(empty)
    done = fexp("-w", empty.location, "stimuli", "morph", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1, done.stderr
    assert words in done.stderr
    assert state(empty) == before


def test_rendering_takes_its_options_and_the_sheet_shows_levels(
    fexp: Fexp, empty: Warehouse, tmp_path: Path
) -> None:
    options = ("--intensity", "0.5", "--greyscale", "--oval-mask", "--size", "48")
    run = ("-w", empty.location, "stimuli")
    assert fexp(*run, "render", "set", "--identities", "1", *options).returncode == 0
    picture = pixels(empty, read_set(empty, "set").to_dicts()[0])
    assert picture.shape == (48, 48, 3)
    assert picture[0, 0].max() == 0
    assert np.array_equal(picture[..., 0], picture[..., 1])
    assert fexp(*run, "morph", "set", "m", "--levels", "3", "--warp").returncode == 0
    assert fexp(*run, "show", "m", "--sheet", "m.png").returncode == 0
    with Image.open(tmp_path / "m.png") as sheet:
        assert sheet.size == (3 * 132 + 4, 7 * 150 + 4)
    wrong = fexp(*run, "render", "other", "--intensity", "2")
    assert "intensity must be a number above 0 and at most 1.5" in wrong.stderr
