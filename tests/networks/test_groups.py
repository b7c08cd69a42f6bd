"""Groups of networks of several seeds: in one command, and declared in a study."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.writing import Fexp

from fexp_store import BadInput, Conflict, Warehouse
from fexp_store.networks import registry
from fexp_store.networks.initialise import initialise, weights_sha256
from fexp_store.networks.records import Options
from fexp_store.study.file import read_study
from fexp_store.study.run import check
from fexp_store.study.steps import analyses, preparations
from fexp_store.warehouse.networks import registered

GROUP = Options(architecture="dlib_face", untrained=True, seeds=3)
_NETWORKS = "SELECT network, network_group, seed, weights_sha256 FROM networks ORDER BY seed"


def test_one_command_registers_a_group(empty: Warehouse, fexp: Fexp) -> None:
    command = ("-w", empty.location, "networks", "add", "twin", "--architecture", "dlib_face")
    command += ("--untrained", "--seeds", "3", "--seed", "4")
    done = fexp(*command)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "Registered twin_4 to twin_6, 3 networks of twin." in done.stderr
    rows = Warehouse(empty.location).frame(_NETWORKS)
    assert rows["network"].to_list() == ["twin_4", "twin_5", "twin_6"]
    assert rows["network_group"].to_list() == ["twin"] * 3
    assert rows["seed"].to_list() == [4, 5, 6]
    for seed, digest in rows.select("seed", "weights_sha256").iter_rows():
        module = registry.architecture("dlib_face").build()
        initialise(module, "kaiming_normal", seed)
        assert weights_sha256(module.state_dict()) == digest
    again = fexp(*command)
    assert again.returncode == 0
    assert "Registered already: twin_4 to twin_6" in again.stderr


def test_networks_that_are_there_are_left_alone_and_the_rest_is_added(empty: Warehouse) -> None:
    registry.add(empty, "twin_1", replace(GROUP, seeds=None, seed=1, group="twin"))
    before = registered(empty, "twin_1")
    assert registry.add(empty, "twin", GROUP)
    assert not registry.add(empty, "twin", GROUP)
    assert registered(empty, "twin_1") == before
    assert registry.add(empty, "twin", replace(GROUP, seeds=4))
    assert empty.frame(_NETWORKS)["seed"].to_list() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "other",
    [{"seed": 7, "group": "twin"}, {"seed": 2}, {"seed": 2, "group": "twin", "permuted": True}],
    ids=str,
)
def test_another_network_of_a_member_s_name_is_a_conflict(
    empty: Warehouse, other: dict[str, object]
) -> None:
    untrained = not other.get("permuted")
    registry.add(empty, "twin_2", replace(GROUP, seeds=None, untrained=untrained, **other))
    with pytest.raises(Conflict, match="twin_2 with other content"):
        registry.add(empty, "twin", GROUP)
    registry.add(empty, "twin", replace(GROUP, seeds=2))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (Options(architecture="dlib_face", seeds=2), "Only untrained or permuted"),
        (replace(GROUP, seed=(1 << 32) - 2), "beyond 2"),
    ],
)
def test_what_has_no_seeds_is_refused(empty: Warehouse, options: Options, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        registry.add(empty, "group", options)
    assert empty.frame(_NETWORKS).is_empty()


_STUDY = """
[[sets]]
name = "faces"
render = { identities = 2 }

[[networks]]
name = "dlib_face"
layers = ["conv1"]

[[networks]]
name = "twin"
architecture = "dlib_face"
untrained = true
seeds = 3
seed = 1
layers = ["conv1"]

[[analyses]]
run = "select"
stimuli = "faces"
networks = ["twin"]

[[analyses]]
run = "select"
stimuli = "faces"
networks = ["dlib_face", "twin_2"]
"""


def test_a_study_declares_a_group_and_analyses_name_it(empty: Warehouse, tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(_STUDY)
    study = read_study(path)
    names = ["dlib_face", "twin_1", "twin_2", "twin_3"]
    assert [network.name for network in study.networks] == names
    assert [network.options.group for network in study.networks] == [None, *["twin"] * 3]
    added = [step.what for step in preparations(empty, study) if step.what.startswith("network")]
    assert added == [f"network {name}" for name in names]
    selected = [step.what.split()[1] for step in analyses(empty, study)]
    assert selected == ["twin_1", "twin_2", "twin_3", "dlib_face", "twin_2"]
    assert not check(empty, study)["done"].any()
    registry.add(empty, "twin", Options(architecture="dlib_face", untrained=True, seeds=3, seed=1))
    done = check(empty, study)
    assert done.filter(done["done"])["step"].to_list() == added[1:]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('networks = ["twin"]', 'networks = ["twins"]', "'twins' is none of the"),
        ('name = "dlib_face"\n', 'name = "twin_3"\n', "twin_3 is declared twice"),
        ("untrained = true\n", "", "Only untrained or permuted"),
    ],
)
def test_a_group_that_cannot_be_is_refused_with_its_line(
    empty: Warehouse, tmp_path: Path, old: str, new: str, words: str
) -> None:
    path = tmp_path / "study.toml"
    path.write_text(_STUDY.replace(old, new, 1))
    with pytest.raises(BadInput, match=rf"study.toml line \d+: .*{words}"):
        check(empty, read_study(path))
