"""Rendered faces: people by seed, expressions by recipe, landmarks where the picture has them."""

import csv
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn import linear_model

from fexp_store.errors import BadInput
from fexp_store.faces.canvas import NO_OPENGL, Canvas, has_osmesa
from fexp_store.faces.head_mesh import head_mesh, subdivide
from fexp_store.faces.landmarks import N_LANDMARKS, landmark_rows, project
from fexp_store.faces.look import Look
from fexp_store.faces.person import (
    EXPRESSIONS,
    expressive_head,
    neutral_head,
    person,
    recipes,
    unit_target,
)
from fexp_store.faces.render import DISTANCE, render_faces
from fexp_store.faces.scene import Part
from fexp_store.networks.architectures.dlib_face import (
    PREPROCESSING,
    DlibFaceResNet,
    packaged_weights,
    read_face_resnet,
)
from fexp_store.networks.forward import activations

pytestmark = pytest.mark.slow

SMALL = Look(size=64)
LEFT_CORNER, RIGHT_CORNER, UPPER_LIP, LOWER_LIP = 54, 48, 62, 66
PEOPLE = 12
Rendered = dict[str, tuple[NDArray[np.uint8], NDArray[np.float64]]]


def render(index: int, names: tuple[str, ...], look: Look = SMALL) -> Rendered:
    who, table = person(5, index), recipes()
    pictures = render_faces([who] * len(names), [table[name] for name in names], look)
    return dict(zip(names, pictures, strict=True))


@pytest.fixture(scope="module")
def faces() -> Rendered:
    return render(0, ("neutral", *EXPRESSIONS))


def test_same_seed_gives_the_same_person_and_another_seed_another():
    assert person(3, 4) == person(3, 4)
    assert len({person(3, 4), person(3, 5), person(4, 4), person(4, 3)}) == 4


def test_the_parameters_of_a_person_do_not_depend_on_the_machine():
    # Written down on x86-64 Linux with numpy 2; a difference means that sets cannot be rebuilt.
    who = person(1, 0)
    written = [35.76875386269157, -0.07330947659687376, 0.0, -0.06004663361416198]
    assert [who.age, who.mass, who.beard, who.hairline[0]] == pytest.approx(written, abs=1e-9)


def test_people_differ_in_ancestry_sex_age_and_colours():
    people = [person(2, index) for index in range(60)]
    assert {int(np.argmax(who.ancestry)) for who in people} == {0, 1, 2}
    assert 15 < sum(who.male > 0.5 for who in people) < 45
    assert min(who.age for who in people) < 25
    assert max(who.age for who in people) > 50
    for colour in ("skin", "iris", "hair", "brow", "lips"):
        assert len({getattr(who, colour) for who in people}) > 50


def test_negative_seeds_are_refused():
    with pytest.raises(BadInput, match="cannot be negative"):
        person(-1, 0)


def test_every_recipe_names_units_that_exist_with_weights_and_sources():
    with (Path(__file__).parents[2] / "fexp_store/data/expression_recipes.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["expression"] for row in rows} == set(EXPRESSIONS)
    for row in rows:
        assert np.abs(unit_target(row["arkit_unit"])).max() > 0
        assert 0 < float(row["weight"]) <= 1.5
        assert int(row["action_unit"]) > 0
        assert row["source"] in {"EMFACS", "by eye"}
    assert recipes()["neutral"] == {}


def test_a_unit_without_a_side_is_both_sides():
    both = unit_target("mouthSmileLeft") + unit_target("mouthSmileRight")
    assert np.array_equal(unit_target("mouthSmile"), both)


@pytest.mark.parametrize("unit", ["mouthSmirk", "../jawOpen", ""])
def test_unknown_units_are_refused_with_the_known_ones(unit):
    with pytest.raises(BadInput, match=r"no ARKit unit .* jawOpen"):
        render_faces([person(1, 0)], [{unit: 1.0}])


def test_one_expression_is_needed_for_each_person():
    with pytest.raises(BadInput, match="2 people and 1 expressions"):
        render_faces([person(1, 0), person(1, 1)], [{}])


def test_weights_must_be_finite():
    with pytest.raises(BadInput, match="finite"):
        render_faces([person(1, 0)], [{"jawOpen": float("nan")}])


@pytest.mark.parametrize("wrong", [{"size": 0}, {"jitter": -1.0}, {"background": 300}])
def test_impossible_looks_are_refused(wrong):
    with pytest.raises(BadInput, match=r"must be|is 0 to 255"):
        Look(**wrong)


def test_subdivision_of_a_cube_is_that_of_catmull_and_clark():
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
    quads = np.array(
        [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
    )
    operator, fine = subdivide(quads, 8, 1)
    points = operator @ corners
    assert fine.shape == (24, 4)
    # By hand: a corner goes to (Q + 2R) / 3 = 5/9, an edge to 3/4, a face to its middle.
    assert np.allclose(np.abs(points[:8]), 5 / 9)
    assert np.allclose(np.sort(np.abs(points[8:20]), axis=1), [0, 0.75, 0.75])
    assert np.allclose(np.sort(np.abs(points[20:]), axis=1), [0, 0, 1])


def test_images_and_landmarks_have_the_promised_form(faces):
    for image, points in faces.values():
        assert image.shape == (64, 64, 3)
        assert image.dtype == np.uint8
        assert points.shape == (N_LANDMARKS, 2)
        assert points.dtype == np.float64
        assert points[17:].min() > 0
        assert points[17:].max() < 63


def test_the_same_request_gives_the_same_bytes_in_any_order(faces):
    again = render(0, (*EXPRESSIONS[::-1], "neutral"))
    for name, (image, points) in faces.items():
        assert np.array_equal(again[name][0], image)
        assert np.array_equal(again[name][1], points)


def test_other_people_and_other_expressions_give_other_images(faces):
    other = render(1, ("neutral",))["neutral"][0]
    images = [other, *(image for image, _ in faces.values())]
    assert len({image.tobytes() for image in images}) == 8


def test_a_fresh_home_without_a_display_gives_the_same_bytes_and_stays_empty(tmp_path, faces):
    code = (
        "import hashlib\n"
        "from fexp_store.faces.person import person\n"
        "from fexp_store.faces.look import Look\n"
        "from fexp_store.faces.render import render_faces\n"
        "image, _ = next(iter(render_faces([person(5, 0)], [{}], Look(size=64))))\n"
        "print(hashlib.sha256(image.tobytes()).hexdigest())\n"
    )
    env = {key: value for key, value in os.environ.items() if key != "DISPLAY"}
    env |= {"HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stderr == ""
    assert done.stdout.strip() == hashlib.sha256(faces["neutral"][0].tobytes()).hexdigest()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(has_osmesa(), reason="OSMesa is installed")
def test_without_an_opengl_driver_the_error_says_what_to_install():
    code = (
        "from fexp_store.faces.person import person\n"
        "from fexp_store.faces.look import Look\n"
        "from fexp_store.faces.render import render_faces\n"
        "next(iter(render_faces([person(5, 0)], [{}], Look(size=64))))\n"
    )
    env = os.environ | {
        "VTK_DEFAULT_OPENGL_WINDOW": "vtkOSOpenGLRenderWindow",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode == 1
    assert NO_OPENGL in done.stderr


def test_without_pyvista_the_error_names_the_extra(monkeypatch):
    monkeypatch.delitem(sys.modules, "fexp_store.faces.canvas")
    monkeypatch.setitem(sys.modules, "pyvista", None)
    with pytest.raises(BadInput, match=r"pip install 'fexp-store\[stimuli\]'"):
        next(iter(render_faces([person(1, 0)], [{}])))


def test_landmarks_are_projected_where_vtk_draws_them():
    middle = np.array([[0.3, -0.2, 0.4], [-0.6, 0.5, -0.3]])
    corner = 0.03 * np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    for point in middle:
        dot = Part(point + corner, np.array([[0, 1, 2, 3]]), np.full((4, 3), 255, np.uint8))
        with Canvas(200, DISTANCE, 0) as canvas:
            image, depth = canvas.draw([dot])
        rows, columns = np.nonzero(image[..., 0])
        drawn = [columns.mean(), rows.mean()]
        assert project(point[None], DISTANCE, 200)[0] == pytest.approx(drawn, abs=0.5)
        assert np.isfinite(depth).sum() == len(rows)
        assert depth[rows, columns] == pytest.approx(DISTANCE - point[2], abs=1e-3)


def test_landmarks_of_the_eyes_surround_the_dark_iris():
    image, points = render(0, ("neutral",), Look(size=224))["neutral"]
    for eye in (points[36:42], points[42:48]):
        (left, top), (right, bottom) = eye.min(axis=0), eye.max(axis=0)
        patch = image[int(top) : int(bottom) + 2, int(left) : int(right) + 2].mean(axis=2)
        rows, columns = np.nonzero(patch <= np.quantile(patch, 0.15))
        assert columns.mean() + int(left) == pytest.approx(eye[:, 0].mean(), abs=4)
        assert rows.mean() + int(top) == pytest.approx(eye[:, 1].mean(), abs=4)


def test_landmarks_are_mirrored_on_the_symmetric_base_head():
    points = (head_mesh().subdivision @ head_mesh().base)[landmark_rows()]
    order = [*range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1)]
    order += [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40]
    order += [54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65]
    assert np.allclose(points * [-1, 1, 1], points[order], atol=2e-3)


def moved(faces: Rendered, name: str) -> NDArray[np.float64]:
    """Pixels each landmark moved from neutral: to the right, and upwards."""
    return (faces[name][1] - faces["neutral"][1]) * [1, -1]


def test_happiness_raises_and_widens_the_corners_of_the_mouth(faces):
    shift = moved(faces, "happiness")
    assert shift[[LEFT_CORNER, RIGHT_CORNER], 1].min() > 1
    assert shift[LEFT_CORNER, 0] - shift[RIGHT_CORNER, 0] > 2


def test_sadness_lowers_the_corners_and_raises_the_inner_brows(faces):
    shift = moved(faces, "sadness")
    assert shift[[LEFT_CORNER, RIGHT_CORNER], 1].max() < -0.7
    assert shift[[21, 22], 1].min() > 0.3
    assert shift[[21, 22], 1].min() > shift[[17, 26], 1].max()


def test_surprise_opens_the_mouth_and_raises_all_brows(faces):
    shift = moved(faces, "surprise")
    assert shift[UPPER_LIP, 1] - shift[LOWER_LIP, 1] > 6
    assert shift[17:27, 1].min() > 0.7


def test_anger_lowers_the_brows_and_fear_raises_them(faces):
    assert moved(faces, "anger")[[20, 21, 22, 23], 1].max() < -1
    assert moved(faces, "fear")[[20, 21, 22, 23], 1].min() > 0.7


def test_disgust_raises_the_upper_lip_and_narrows_the_eyes(faces):
    shift = moved(faces, "disgust")
    assert shift[51, 1] > 0.5
    opening = shift[[37, 38, 43, 44], 1] - shift[[41, 40, 47, 46], 1]
    assert opening.max() < 0


def test_an_open_mouth_shows_the_red_inside_not_skin(faces):
    image, points = faces["surprise"]
    column, row = np.round((points[UPPER_LIP] + points[LOWER_LIP]) / 2).astype(int)
    cheek_column, cheek_row = np.round((points[30] + points[14]) / 2).astype(int)
    inside, cheek = image[row, column].astype(float), image[cheek_row, cheek_column].astype(float)
    assert inside[0] / inside[1] > 1.25 * cheek[0] / cheek[1]


def test_landmarks_move_in_proportion_to_the_morph_level():
    table, who = recipes(), person(5, 2)
    levels = np.linspace(0, 1, 9)
    units = set(table["happiness"]) | set(table["anger"])
    morphs = [
        {
            unit: (1 - t) * table["happiness"].get(unit, 0) + t * table["anger"].get(unit, 0)
            for unit in units
        }
        for t in levels
    ]
    points = [marks for _, marks in render_faces([who] * 9, morphs, Look(size=32))]
    away = [np.linalg.norm(marks - points[0], axis=1).mean() for marks in points]
    assert np.corrcoef(levels, away)[0, 1] > 0.999
    assert away[-1] > 0.3


def test_expressions_add_to_the_neutral_head_without_changing_it():
    who = person(5, 3)
    before = neutral_head(who).copy()
    shifted = expressive_head(who, {"jawOpen": 0.5}) - before
    assert np.allclose(shifted, 0.5 * unit_target("jawOpen"))
    assert np.array_equal(neutral_head(who), before)


def test_the_oval_mask_is_black_outside_and_changes_nothing_in_the_middle(faces):
    masked = render(0, ("neutral",), Look(size=64, oval_mask=True))["neutral"][0]
    plain = faces["neutral"][0]
    for corner in (masked[:8, :8], masked[-8:, :8], masked[:8, -8:], masked[-8:, -8:]):
        assert corner.max() == 0
    assert np.array_equal(masked[20:44, 22:42], plain[20:44, 22:42])
    edge = (masked > 0) & (masked < plain)
    assert 20 < edge.any(axis=2).sum() < 500


def test_greyscale_is_the_luma_of_the_colour_image(faces):
    grey = render(0, ("neutral",), Look(size=64, greyscale=True))["neutral"][0]
    luma = faces["neutral"][0] @ np.array([0.299, 0.587, 0.114])
    assert np.array_equal(grey[..., 0], grey[..., 2])
    assert np.abs(grey[..., 0] - luma).max() <= 1.01


def test_jitter_moves_head_light_and_gaze_by_its_own_seed(faces):
    names = ("neutral", "anger")
    one, two = (render(0, names, Look(size=64, jitter=1.0, seed=seed)) for seed in (1, 2))
    assert not np.array_equal(one["neutral"][0], two["neutral"][0])
    assert np.array_equal(
        render(0, names[::-1], Look(size=64, jitter=1.0, seed=1))["anger"][0], one["anger"][0]
    )
    assert np.abs(one["neutral"][1] - faces["neutral"][1]).max() > 0.5


def test_a_larger_image_has_the_same_landmarks_scaled(faces):
    large = render(0, ("neutral",), Look(size=128))["neutral"][1]
    assert np.allclose((large + 0.5) / 2 - 0.5, faces["neutral"][1])


@pytest.fixture(scope="module")
def crowd() -> tuple[list[NDArray[np.uint8]], NDArray[np.float64]]:
    people, table = [person(9, index) for index in range(PEOPLE)], recipes()
    pictures = list(
        render_faces(
            [who for who in people for _ in EXPRESSIONS],
            [table[name] for _ in people for name in EXPRESSIONS],
            Look(size=112),
        )
    )
    return [image for image, _ in pictures], np.stack([points for _, points in pictures])


def test_expressions_are_told_apart_by_landmarks_of_unseen_people(crowd):
    points = crowd[1].reshape(len(crowd[1]), -1)
    points = (points - points.mean(axis=0)) / points.std(axis=0)
    label, who = np.tile(np.arange(6), PEOPLE), np.repeat(np.arange(PEOPLE), 6)
    model = linear_model.LogisticRegression(max_iter=500)
    right = [
        model.fit(points[who % 4 != k], label[who % 4 != k]).predict(points[who % 4 == k])
        == label[who % 4 == k]
        for k in range(4)
    ]
    assert np.mean(right) >= 0.9


LABEL, WHO = np.tile(np.arange(6), PEOPLE), np.repeat(np.arange(PEOPLE), 6)


@pytest.fixture(scope="module")
def seen(crowd) -> dict[str, NDArray[np.float32]]:
    """What dlib's face network makes of the crowd: conv4_3 and the embedding, a row per image."""
    net = DlibFaceResNet()
    weights = read_face_resnet(packaged_weights())
    net.load_state_dict({name: torch.tensor(values) for name, values in weights.items()})
    pixels = np.stack([PREPROCESSING.pixels(Image.fromarray(image)) for image in crowd[0]])
    mean = np.array(PREPROCESSING.mean, np.float32)[:, None, None]
    std = np.array(PREPROCESSING.std, np.float32)[:, None, None]
    layers = {"conv4_3": "conv4_3", "embedding": "embedding"}
    with torch.no_grad():
        found = activations(net, layers, torch.tensor((pixels.astype(np.float32) - mean) / std))
    return {layer: values.flatten(1).numpy() for layer, values in found.items()}


def test_a_real_face_network_knows_people_again_under_other_expressions(seen):
    apart = np.linalg.norm(seen["embedding"][:, None] - seen["embedding"][None], axis=-1)
    others = np.where(LABEL[:, None] == LABEL[None], np.inf, apart)
    assert np.mean(WHO[others.argmin(axis=1)] == WHO) >= 0.8
    same_person = WHO[:, None] == WHO[None]
    same = apart[same_person & (LABEL[:, None] != LABEL[None])]
    different = np.sort(apart[~same_person])
    assert 1 - np.mean(np.searchsorted(different, same)) / len(different) >= 0.9


def test_expressions_are_told_apart_by_a_face_network_s_conv4_3_on_unseen_people(seen):
    units = seen["conv4_3"][:, ::4]  # a quarter of the units is enough, and quick
    units = (units - units.mean(axis=0)) / (units.std(axis=0) + 1e-6)
    model = linear_model.LogisticRegression(max_iter=300, C=0.01)
    right = [
        model.fit(units[k != WHO % 4], LABEL[k != WHO % 4]).predict(units[k == WHO % 4])
        == LABEL[k == WHO % 4]
        for k in range(4)
    ]
    assert np.mean(right) >= 0.7
