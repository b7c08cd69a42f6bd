"""Drawn weights in the user's cache: kept, checked, bounded, drawn again where they cannot be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from fexp_store import Warehouse
from fexp_store.errors import BadInput
from fexp_store.networks import building, drawn, registry
from fexp_store.networks.architectures.dlib_face import DlibFaceResNet
from fexp_store.networks.initialise import initialise, weights_sha256
from fexp_store.networks.records import Options
from fexp_store.warehouse.networks import registered

UNTRAINED = Options(architecture="dlib_face", untrained=True, seed=3)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FEXP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "weights"


@pytest.fixture
def draws(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds of what is drawn, in order."""
    seeds: list[int] = []

    def watched(module: nn.Module, init: str, seed: int) -> None:
        seeds.append(seed)
        initialise(module, init, seed)

    monkeypatch.setattr(building, "initialise", watched)
    return seeds


def files(cache: Path) -> list[Path]:
    return sorted(p for p in cache.iterdir() if p.is_file() and p.name.endswith(".safetensors"))


def test_a_network_is_drawn_once_and_is_the_same_from_the_cache(
    empty: Warehouse, cache: Path, draws: list[int]
) -> None:
    registry.add(empty, "dlib", UNTRAINED)
    row = registered(empty, "dlib")
    first, second = (registry.load(empty, row).module for _ in range(2))
    assert draws == [3]
    fresh = DlibFaceResNet()
    initialise(fresh, "kaiming_normal", 3)
    expected = fresh.state_dict()
    for module in (first, second):
        assert not module.training
        state = module.state_dict()
        assert state.keys() == expected.keys()
        assert all(torch.equal(state[name], expected[name]) for name in expected)
        assert not any(parameter.requires_grad for parameter in module.parameters())
    # The file is mapped: what is done to a loaded network never reaches it.
    with torch.no_grad():
        next(first.parameters()).add_(1)
    assert weights_sha256(registry.load(empty, row).module.state_dict()) == row.weights_sha256


def _flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _flipped_in_disguise(path: Path) -> None:
    """Another byte, at the same size and time of change."""
    status = path.stat()
    _flipped(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _swapped(path: Path) -> None:
    state = safetensors.torch.load_file(path)
    other = {name: value + 1 for name, value in state.items()}
    path.unlink()
    safetensors.torch.save_file(other, path)


def _of_another_network(path: Path) -> None:
    path.unlink()
    safetensors.torch.save_file({"weight": torch.zeros(3)}, path)


def _linked(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    _flipped(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


DAMAGES = (_flipped, _flipped_in_disguise, _cut, _emptied, _swapped, _of_another_network, _linked)


@pytest.mark.parametrize("remembered", [False, True])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_file_with_other_content_is_never_used(
    empty: Warehouse,
    cache: Path,
    draws: list[int],
    damage: Callable[[Path], None],
    remembered: bool,
) -> None:
    registry.add(empty, "dlib", UNTRAINED)
    row = registered(empty, "dlib")
    if remembered:
        registry.load(empty, row)
    (file,) = files(cache)
    damage(file)
    module = registry.load(empty, row).module
    assert draws == [3, 3]
    assert weights_sha256(module.state_dict()) == row.weights_sha256
    if damage is not _linked:  # a link is left alone, and never followed
        assert registry.load(empty, row).module is not None
        assert draws == [3, 3]


def test_what_another_seed_gave_is_not_taken_for_it(cache: Path) -> None:
    module = nn.Linear(4, 4)
    digest = weights_sha256(module.state_dict())
    drawn.keep(module, "linear untrained:kaiming_normal 1", digest)

    def build() -> nn.Module:
        return nn.Linear(4, 4)

    assert drawn.kept(build, "linear untrained:kaiming_normal 1", digest) is not None
    assert drawn.kept(build, "linear untrained:kaiming_normal 2", digest) is None


def test_the_oldest_files_make_room(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEXP_CACHE_WEIGHTS", "3")
    digests = []
    for number in range(4):
        module = nn.Linear(512, 512)  # of 1 MiB
        digests.append(weights_sha256(module.state_dict()))
        drawn.keep(module, str(number), digests[-1])
        time.sleep(0.01)
        assert sum(file.stat().st_size for file in files(cache)) <= 3 << 20

    def build() -> nn.Module:
        return nn.Linear(512, 512)

    there = [drawn.kept(build, str(n), digest) is not None for n, digest in enumerate(digests)]
    assert there == [False, False, True, True]
    drawn.keep(nn.Linear(1024, 1024), "large", "0" * 64)  # larger than all may be
    assert len(files(cache)) == 2
    monkeypatch.setenv("FEXP_CACHE_WEIGHTS", "0")
    drawn.keep(nn.Linear(2, 2), "none", "1" * 64)
    assert len(files(cache)) == 2


@pytest.mark.parametrize("said", ["2 GiB", "-1", "1e3", "9" * 12])
def test_a_bound_that_is_no_number_is_refused(
    cache: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    monkeypatch.setenv("FEXP_CACHE_WEIGHTS", said)
    with pytest.raises(BadInput, match="a whole number of MiB"):
        drawn.keep(nn.Linear(2, 2), "x", "0" * 64)


def test_a_cache_that_cannot_be_written_only_means_drawing_again(
    empty: Warehouse, tmp_path: Path, draws: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("FEXP_CACHE", str(tmp_path / "file"))
    registry.add(empty, "dlib", UNTRAINED)
    row = registered(empty, "dlib")
    assert registry.load(empty, row).module is not None
    assert draws == [3, 3]


class _Beside(nn.Module):
    """A module with a buffer that is no part of its state."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.register_buffer("scale", torch.full((3,), 2.0), persistent=False)


def test_values_that_are_no_part_of_the_state_are_there_too(cache: Path) -> None:
    module = _Beside()
    digest = weights_sha256(module.state_dict())
    drawn.keep(module, "beside", digest)
    found = drawn.kept(_Beside, "beside", digest)
    assert found is not None
    assert torch.equal(found.get_buffer("scale"), torch.full((3,), 2.0))
    assert torch.equal(found.get_parameter("linear.weight"), module.linear.weight)


_KEEPER = """
import sys, torch
from fexp_store.networks import drawn
from fexp_store.networks.initialise import weights_sha256
torch.manual_seed(0)
module = torch.nn.Linear(4096, 4096)
digest = weights_sha256(module.state_dict())
print(digest, flush=True)
drawn.keep(module, "large", digest)
"""


@pytest.mark.slow
def test_a_kill_while_it_is_kept_leaves_the_whole_file_or_none(cache: Path) -> None:
    def build() -> nn.Module:
        return nn.Linear(4096, 4096)

    command = [sys.executable, "-c", _KEEPER]
    digest = ""
    for delay in (0.0, 0.01, 0.03, 0.06):
        for file in files(cache) if cache.exists() else []:
            file.unlink()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        digest = process.stdout.readline().strip()
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        module = drawn.kept(build, "large", digest)
        assert module is None or weights_sha256(module.state_dict()) == digest
    for file in files(cache):
        file.unlink()
    (cache / ".left.safetensors.0.partial").write_bytes(b"as a kill leaves it")
    both = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert drawn.kept(build, "large", digest) is not None
    assert [path.name for path in cache.iterdir() if "partial" in path.name] == []
