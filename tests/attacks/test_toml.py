"""Study files that are no studies: nested, gigantic, contradictory, or of other things."""

from __future__ import annotations

import pytest
from support.victim import Victim

STUDIES = {
    "deep lists": "title = " + "[" * 50_000,
    "deep lists that end": "title = " + "[" * 5_000 + "]" * 5_000,
    "deep tables": "title = " + "{a=" * 20_000,
    "a deep key": "title" + ".a" * 100_000 + " = 1",
    "a deep header": "[title" + ".a" * 100_000 + "]",
    "many deep keys": "\n".join("k" + ".a" * 900 + f".b{i} = 1" for i in range(500)),
    "a number of 100,000 digits": "title = " + "9" * 100_000,
    "a number of 300 digits": '[[sets]]\nname = "a"\nrender = {seed = ' + "9" * 300 + "}",
    "a float beyond all": '[[sets]]\nname = "a"\nrender = {jitter = 1e999}',
    "not a number": '[[sets]]\nname = "a"\nrender = {jitter = nan}',
    "one key twice": 'title = "a"\ntitle = "b"',
    "one table twice": "[title]\n[title]",
    "many sections": "[[sets]]\n" * 50_000,
    "many sections with names": "".join(f'[[sets]]\nname="{i}"\n' for i in range(50_000)),
    "many unknown keys": "".join(f"k{i} = 1\n" for i in range(60_000)),
    "sections that are none": "sets = 1",
    "sections in one list": "sets = [1, 2]",
    "a section that is none": "[sets]\nname = 1",
    "a name that is a list": "[[sets]]\nname = [[1]]\n[[sets]]\nname = [[1]]",
    "a name that is a table": "[[sets]]\nname = {a = 1}\n[[sets]]\nname = {a = 1}",
    "a name that is a time": "[[sets]]\nname = 10:11:12",
    "a control in a key": '[[sets]]\n"\\u001b]0;x\\u0007" = 1',
    "a control in a value": '[[sets]]\nname = "\\u001b[2J\\u202e"',
    "a key of a megabyte": '"' + "k" * 900_000 + '" = 1',
    "a device": '[[sets]]\nname = "a"\nmanifest = "/dev/zero"',
    "absurd numbers": '[[analyses]]\nrun = "decode"\nstimuli = "set1"\nshuffles = ' + "9" * 18,
    "a run that is a list": "[[analyses]]\nrun = [[]]",
    "carriage returns": "title = 1\r" * 1000,
    "a mark and zero bytes": "\ufeff\0",
    "a regular expression's nightmare": "[[" + " " * 500_000 + "x",
    "many quotes": '"' * 500_000,
}


@pytest.mark.parametrize("kind", STUDIES)
def test_a_study_that_is_none_is_refused(victim: Victim, kind: str) -> None:
    (victim.outside.parent / "work" / "study.toml").write_text(STUDIES[kind])
    assert victim("study", "run", "study.toml").code == 1


def test_of_a_table_that_a_study_names_no_cell_is_shown(victim: Victim) -> None:
    text = '[[sets]]\nname = "a"\nmanifest = "../outside/secret.csv"'
    (victim.outside.parent / "work" / "study.toml").write_text(text)
    assert victim("study", "run", "study.toml", reads=True).code == 1


JSON = {
    "deep lists": "[" * 100_000,
    "deep objects": '{"size":' * 100_000,
    "a name twice": '{"size": 1, "size": 2}',
    "a list": "[]",
    "a gigantic size": '{"size": 1000000000000}',
    "a size of 300 digits": '{"size": ' + "9" * 300 + "}",
    "an infinite mean": '{"mean": [Infinity, 0, 0]}',
    "a size that is a list": '{"size": [160]}',
    "unknown fields": '{"__class__": "x"}',
}


@pytest.mark.parametrize("text", JSON.values(), ids=JSON)
def test_json_of_an_option_that_is_none_is_refused(victim: Victim, text: str) -> None:
    command = ("networks", "add", "new", "--architecture", "dlib_face", "--untrained")
    assert victim(*command, f"--preprocessing={text}").code == 1


NUMBERS = {
    "permutations": ("select", "--permutations", f"{10**12}"),
    "permutations of 40 digits": ("select", "--permutations", f"{10**40}"),
    "a seed": ("select", "--seed", f"{10**40}"),
    "a negative seed": ("select", "--seed", "-1"),
    "folds": ("decode", "--folds", f"{10**9}"),
    "shuffles": ("decode", "--shuffles", f"{10**15}"),
    "a penalty": ("decode", "--C", "1e300"),
    "resamples": ("confuse", "--resamples", f"{10**10}"),
    "a batch": ("ingest", "--batch-size", f"{10**18}"),
    "no memory": ("ingest", "--memory", "nan"),
    "more memory than there is": ("ingest", "--memory", "1e300"),
    "workers": ("ingest", "--workers", f"{10**9}"),
}


@pytest.mark.parametrize("kind", NUMBERS)
def test_a_number_that_makes_no_sense_is_refused_at_once(victim: Victim, kind: str) -> None:
    command, *option = NUMBERS[kind]
    done = victim(command, "-n", "net", "-l", "planted", "-s", "set1", *option)
    assert done.code == 1
    assert " must be a " in done.sentence


def test_as_many_identities_as_there_are_people_are_not_rendered(victim: Victim) -> None:
    done = victim("stimuli", "render", "new", "--identities", f"{8 * 10**9}")
    assert done.code == 1
    assert "from 1 to 100000" in done.sentence
