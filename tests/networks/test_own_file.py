"""A network of a user's own file: run when its user says so, as it was when it was registered."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from support.direct import assert_close
from support.libraries import outputs, write_sizes
from support.writing import state

from fexp_store import BadInput, Conflict, NotFound, Warehouse
from fexp_store.ingest import ingest
from fexp_store.networks import registry
from fexp_store.networks.architectures.own_file import is_own
from fexp_store.networks.records import Options
from fexp_store.stimuli.photographs.add import add_manifest
from fexp_store.warehouse.networks import registered

SOURCE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.eyes = nn.Conv2d(3, 6, 5, stride=3)
        self.norm = nn.BatchNorm2d(6)
        self.who = nn.Linear(6 * 20 * 20, 9)
        self.register_buffer("shift", torch.full((6, 1, 1), 0.25))

    def forward(self, x):
        x = torch.relu(self.norm(self.eyes(x)) + self.shift)
        return self.who(x.view(len(x), -1))  # which channels last in memory would not allow

def build():
    torch.manual_seed(7)
    return Net()
"""
FIELDS = {
    "size": 64, "resize": 72, "mean": [127.5, 120, 110], "std": [60, 61.5, 70],
}  # fmt: skip


def write(folder: Path, source: str = SOURCE, name: str = "my_module.py") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(source)
    return folder / name


def own(path: Path, function: str = "build", **options: object) -> Options:
    fields = {"preprocessing": FIELDS} | options
    return Options(architecture=f"{path}:{function}", **fields)  # type: ignore[arg-type]


def transform() -> torchvision.transforms.Compose:
    """What FIELDS declare, by torchvision alone."""
    t = torchvision.transforms
    mean, std = (np.array(FIELDS[key]) / 255 for key in ("mean", "std"))
    return t.Compose([t.Resize(72), t.CenterCrop(64), t.ToTensor(), t.Normalize(mean, std)])


@pytest.fixture
def sized(empty: Warehouse, tmp_path: Path) -> Path:
    """The manifest of the set sizes of the warehouse."""
    add_manifest(empty, "sizes", write_sizes(tmp_path / "sizes"))
    return tmp_path / "sizes" / "manifest.csv"


def module_of(path: Path) -> torch.nn.Module:
    names: dict[str, object] = {}
    exec(path.read_text(), names)
    module = names["build"]()  # type: ignore[operator]
    assert isinstance(module, torch.nn.Module)
    return module.eval()


LAYERS = ("eyes", "norm", "who")


@pytest.mark.slow
def test_what_is_stored_is_what_the_module_computes(
    empty: Warehouse, sized: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "my nets")
    assert registry.add(empty, "own", own(path))
    assert capsys.readouterr().err == f"Running {path} …\n"
    assert list(registered(empty, "own").all_layers()) == list(LAYERS)
    ingest(empty, "own", LAYERS, "sizes")
    direct = outputs(module_of(path), LAYERS, transform(), sized)
    for layer in LAYERS:
        assert_close(empty.matrix("own", layer, "sizes").values, direct[layer], layer)


@pytest.mark.slow
def test_a_weights_file_and_drawn_weights_take_the_place_of_those_that_it_sets(
    empty: Warehouse, sized: Path, tmp_path: Path
) -> None:
    path = write(tmp_path)
    module = module_of(path)
    for value in module.state_dict().values():
        if value.is_floating_point():
            value.uniform_(0.01, 0.1)
    torch.save(module.state_dict(), tmp_path / "trained.pth")
    registry.add(empty, "trained", own(path, weights=tmp_path / "trained.pth"))
    ingest(empty, "trained", LAYERS, "sizes")
    direct = outputs(module, LAYERS, transform(), sized)
    for layer in LAYERS:
        assert_close(empty.matrix("trained", layer, "sizes").values, direct[layer], layer)
    registry.add(empty, "drawn", own(path, untrained=True, seed=4))
    registry.add(empty, "set", own(path))
    rows = {name: registered(empty, name) for name in ("trained", "drawn", "set")}
    assert len({row.weights_sha256 for row in rows.values()}) == 3
    assert {row.architecture for row in rows.values()} == {rows["set"].architecture}
    assert [row.weights_source for row in rows.values()] == [
        "file:trained.pth", "untrained:kaiming_normal", "code:my_module.py",
    ]  # fmt: skip
    assert rows["drawn"].training == "none"
    assert rows["set"].training == "unknown"


def test_the_identity_has_the_file_s_sha256_and_no_place(empty: Warehouse, tmp_path: Path) -> None:
    path = write(tmp_path / "secret place")
    registry.add(empty, "own", own(path))
    from hashlib import sha256

    digest = sha256(path.read_bytes()).hexdigest()
    assert registered(empty, "own").architecture == f"my_module.py:build@{digest}"
    found = [p for p in Path(empty.location).rglob("*") if p.is_file()]
    assert not [p for p in found if b"secret place" in p.read_bytes()]


def test_a_file_that_changed_or_moved_is_refused_until_it_is_said_where_it_is(
    empty: Warehouse, tmp_path: Path
) -> None:
    path = write(tmp_path / "a")
    registry.add(empty, "own", own(path))
    row = registered(empty, "own")
    path.write_text(SOURCE + "\n# a remark\n")
    with pytest.raises(BadInput, match=r"my_module\.py is not the file that own was registered"):
        registry.load(empty, row)
    with pytest.raises(Conflict, match="of another architecture"):
        registry.add(empty, "own", own(path))
    shutil.rmtree(path.parent)
    with pytest.raises(NotFound, match=r"is not there; say where it is: fexp networks add own "):
        registry.load(empty, row)
    assert not registry.add(empty, "own", own(write(tmp_path / "b")))
    assert set(registry.load(empty, row).paths) == set(LAYERS)


BAD = {
    "a syntax error": ("def build(:\n    pass\n", r"my_module\.py, line 1: SyntaxError: "),
    "a module that is not there": (
        "\nimport not_there_at_all\n",
        r"my_module\.py, line 2: ModuleNotFoundError: No module named 'not_there_at_all'\.",
    ),
    "an exception": (
        "def build():\n    x = {}\n    return x['key']\n",
        r"my_module\.py, line 3: KeyError: 'key'\.",
    ),
    "an exit": ("import sys\nsys.exit('no')\n", r"my_module\.py, line 2: SystemExit: no\."),
    "arguments": ("def build(n):\n    return n\n", r"TypeError: build\(\) missing 1 required"),
    "no module": ("def build():\n    return 3\n", r"build\(\) returned a int; let it return an"),
    "nothing": ("def build():\n    pass\n", r"build\(\) returned nothing; let it return an"),
    "a class": (
        "from torch import nn\nclass Net(nn.Module): ...\ndef build():\n    return Net\n",
        r"build\(\) returned the class Net itself; let it return an nn\.Module",
    ),
    "another name": (
        "def make(): ...\ndef other(): ...\n",
        r"no function 'build'; it has: make, o",
    ),
    "no function": ("x = 1\n", r"has no function 'build'; it has none\."),
    "weights of chance": (
        "from torch import nn\ndef build():\n    return nn.Conv2d(3, 2, 3)\n",
        r"my_module\.py:build gives other weights each time: seed it, .* or give --weights\.",
    ),
    "an input that it cannot take": (
        "from torch import nn\ndef build():\n    import torch; torch.manual_seed(0)\n"
        "    return nn.Sequential(nn.Conv2d(1, 2, 3))\n",
        r"my_module\.py: RuntimeError: .* expected input\[1, 3, 64, 64\] to have 1 channels",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_run_is_one_sentence_with_the_line(
    kind: str, empty: Warehouse, tmp_path: Path
) -> None:
    source, said = BAD[kind]
    before = state(empty)
    with pytest.raises(BadInput, match=said) as refused:
        registry.add(empty, "own", own(write(tmp_path, source)))
    assert "\n" not in str(refused.value)
    assert state(empty) == before


def test_preprocessing_is_given_or_returned_and_never_guessed(
    empty: Warehouse, tmp_path: Path
) -> None:
    path = write(tmp_path)
    with pytest.raises(BadInput, match="say it with size, mean, std") as refused:
        registry.add(empty, "own", own(path, preprocessing=None))
    example = json.loads(str(refused.value).split("--preprocessing '")[1].rstrip("'"))
    source = SOURCE.replace("* 20 * 20", "* 74 * 74")  # for the example's size
    registry.add(empty, "large", own(write(tmp_path, source, "large.py"), preprocessing=example))
    both = SOURCE.replace("return Net()", f"return Net(), {FIELDS}")
    registry.add(empty, "both", own(write(tmp_path, both, "both.py"), preprocessing=None))
    registry.add(empty, "own", own(path))
    of = {name: registered(empty, name).preprocessing for name in ("both", "own", "large")}
    assert of["both"] == of["own"] != of["large"]
    with pytest.raises(BadInput, match="Preprocessing has no field 'colour'"):
        registry.add(empty, "bad", own(path, preprocessing={**FIELDS, "colour": 1}))


def test_modules_beside_the_file_are_found_and_not_confused_with_others(
    empty: Warehouse, tmp_path: Path
) -> None:
    for number in (1, 2):
        folder = tmp_path / str(number)
        write(folder, f"WIDTH = {number}\n", "parts.py")
        source = (
            "import torch, parts\ndef build():\n    torch.manual_seed(0)\n"
            "    return torch.nn.Sequential(torch.nn.Conv2d(3, parts.WIDTH, 3))\n"
        )
        registry.add(empty, f"n{number}", own(write(folder, source)))
    shapes = [registered(empty, f"n{n}").layer("0").shape[0] for n in (1, 2)]
    assert shapes == [1, 2]


@pytest.mark.parametrize(
    ("name", "is_file"),
    [
        ("my_module.py:build", True),
        ("../a b/my_module.py:build", True),
        (r"C:\nets\my module.py:build", True),
        ("C:/nets/x.py:build", True),
        ("my_module.py", True),
        ("my_module.py:build@" + "0" * 64, True),
        ("torchvision:resnet18", False),
        ("timm:resnet18.a1_in1k", False),
        ("vgg_face", False),
    ],
)
def test_a_file_of_python_is_told_from_the_other_architectures(name: str, is_file: bool) -> None:
    assert is_own(name) == is_file


def test_a_file_without_a_function_is_asked_for_one(empty: Warehouse, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"names no function of a file; give it as my_module\.py:b"):
        registry.add(empty, "own", Options(architecture=str(write(tmp_path))))
    with pytest.raises(BadInput, match=r"not_there\.py does not exist"):
        registry.add(empty, "own", own(tmp_path / "not_there.py"))
