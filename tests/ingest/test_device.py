"""The one module that knows about devices, on the devices that any machine has: cpu and meta."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fexp_store import BadInput
from fexp_store.ingest import Options
from fexp_store.ingest.device import Device, Download, choose
from fexp_store.networks.architectures.dlib_face import LAYERS, PREPROCESSING, DlibFaceResNet
from fexp_store.networks.forward import activations


def small() -> torch.nn.Module:
    torch.manual_seed(0)
    convolution = torch.nn.Conv2d(3, 4, 3, padding=1)
    return torch.nn.Sequential(convolution, torch.nn.ReLU()).eval()


def fill(rows: NDArray[np.float32], response: torch.Tensor) -> None:
    torch.from_numpy(rows).view(response.shape).copy_(response)


PIXELS = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 8), np.uint8)


def test_everything_that_a_batch_meets_is_on_the_device() -> None:
    # On the meta device, as on cuda, an operation with a tensor left behind on the cpu fails.
    device = Device("meta", "fp32")
    module = device.place(DlibFaceResNet().eval())
    pixels = np.zeros((2, 3, 150, 150), np.uint8)
    with device.arithmetic():
        x = PREPROCESSING.normalise(device.upload(pixels))
        outputs = activations(module, LAYERS, x)
    assert x.device.type == "meta"
    assert {value.device.type for value in outputs.values()} == {"meta"}
    assert outputs["embedding"].shape == (2, 128)
    with pytest.raises(RuntimeError, match="not on the expected device"):
        activations(module, LAYERS, torch.zeros(2, 3, 150, 150))


def test_a_batch_and_the_weights_are_channels_last() -> None:
    device = Device("cpu", "fp32")
    module = device.place(small())
    x = device.upload(PIXELS)
    assert x.is_contiguous(memory_format=torch.channels_last)
    weight = module.get_submodule("0").weight
    assert isinstance(weight, torch.Tensor)
    assert weight.is_contiguous(memory_format=torch.channels_last)
    out = activations(module, {"relu": "1"}, x.float())["relu"]
    assert out.is_contiguous(memory_format=torch.channels_last)


def test_rows_are_row_major_whatever_the_memory_order_of_a_response() -> None:
    device = Device("cpu", "fp32")
    response = torch.arange(2 * 3 * 4 * 5, dtype=torch.float32).reshape(2, 3, 4, 5)
    rows = np.full((2, 60), np.nan, np.float32)
    shuffled = response.contiguous(memory_format=torch.channels_last)
    Download(device, lambda _, value: fill(rows, value), 0).take("a", shuffled)
    assert (rows.ravel() == np.arange(120)).all()


def test_bf16_is_computed_in_bf16_and_stored_as_float32() -> None:
    device = Device("cpu", "bf16")
    x = device.upload(PIXELS).float() / 255
    with device.arithmetic():
        out = activations(small(), {"relu": "1"}, x)["relu"]
    assert out.dtype == torch.bfloat16
    rows = np.empty((2, 4 * 64), np.float32)
    Download(device, lambda _, value: fill(rows, value), 0).take("relu", out)
    assert (rows == out.float().flatten(1).numpy()).all()


@pytest.mark.parametrize(("precision", "expected"), [("fp32", False), ("tf32", True)])
def test_tf32_is_on_only_where_it_is_asked_for_and_set_back(precision: str, expected: bool) -> None:
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    with Device("cpu", precision).arithmetic():
        assert torch.backends.cudnn.allow_tf32 is expected
        assert (torch.get_float32_matmul_precision() == "high") is expected
    assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == before


def test_a_device_is_chosen_or_refused_in_one_sentence() -> None:
    has_cuda = torch.cuda.is_available()
    assert choose("cpu", "fp32") == Device("cpu", "fp32")
    assert choose("auto", "fp32").name in {"cpu", "cuda", "mps"}
    if not has_cuda:
        with pytest.raises(BadInput, match="No cuda device is there for torch"):
            choose("cuda", "fp32")
    with pytest.raises(BadInput, match="tf32 needs a cuda device"):
        choose("cpu", "tf32")
    with pytest.raises(BadInput, match="device must be auto, cpu, cuda or mps, not 'tpu'"):
        Options(device="tpu")
