"""Seeded weights: their distribution, their independence of each other, and their hash."""

import hashlib
import math

import numpy as np
import pytest
import scipy.stats
import torch

from fexp_store.errors import BadInput
from fexp_store.networks.architectures.vgg import VGG16
from fexp_store.networks.initialise import initialise, weights_sha256

GOLDEN = "05584a190ef72f58172949a5e739e89a45caa791b63b415fb0f63161033df911"


def narrow(outputs=5):
    return VGG16(outputs, channels=(4, 4, 8, 8, 8), hidden=6)


def state_of(model, init="kaiming_normal", seed=7):
    initialise(model, init, seed)
    return {name: value.numpy() for name, value in model.state_dict().items()}


@pytest.fixture(scope="module")
def body():
    return state_of(VGG16(None))


def test_a_seed_gives_the_bytes_it_gave_when_this_was_written(body):
    assert weights_sha256(body) == GOLDEN


def test_values_are_those_that_the_documentation_lets_anyone_recompute(body):
    words = np.frombuffer(hashlib.sha256(b"conv2_1.weight").digest(), "<u4").tolist()
    stream = np.random.Generator(np.random.PCG64(np.random.SeedSequence([7, *words])))
    expected = stream.standard_normal((128, 64, 3, 3)) * math.sqrt(2 / (64 * 9))
    assert np.array_equal(body["conv2_1.weight"], expected.astype(np.float32))


@pytest.mark.parametrize(
    ("init", "variance"),
    [
        ("kaiming_normal", 2 / (256 * 9)),
        ("xavier_normal", 2 / (256 * 9 + 512 * 9)),
        ("lecun_normal", 1 / (256 * 9)),
        ("gaussian:0.01", 1e-4),
    ],
)
def test_weights_are_normal_with_the_variance_of_the_scheme(init, variance):
    layer = torch.nn.Conv2d(256, 512, 3)
    initialise(layer, init, 0)
    values = layer.weight.detach().numpy().reshape(-1)
    # The standard error of a variance over n values is variance * sqrt(2 / n).
    error = math.sqrt(2 / values.size)
    assert values.var() == pytest.approx(variance, rel=4 * error)
    assert scipy.stats.kstest(values[::10], "norm", (0, math.sqrt(variance))).pvalue > 0.01
    assert not layer.bias.detach().any()


@pytest.mark.parametrize(
    ("init", "theirs"),
    [
        ("kaiming_normal", lambda w: torch.nn.init.kaiming_normal_(w, nonlinearity="relu")),
        ("xavier_normal", torch.nn.init.xavier_normal_),
        ("lecun_normal", lambda w: torch.nn.init.kaiming_normal_(w, nonlinearity="linear")),
    ],
)
@pytest.mark.parametrize("shape", [(300, 200), (128, 64, 3, 3), (512, 1, 7, 7)])
def test_spread_agrees_with_torchs_own_initialisers(init, theirs, shape):
    torch.manual_seed(0)
    layer = torch.nn.ParameterDict({"w": torch.empty(shape)})
    initialise(layer, init, 0)
    spread = layer["w"].detach().std().item()
    assert spread == pytest.approx(theirs(torch.empty(shape)).std().item(), rel=0.05)


def test_activations_keep_their_size_through_a_kaiming_network():
    model = VGG16(None, channels=(32, 32, 32, 32, 32))
    initialise(model, "kaiming_normal", 3)
    image = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        first = model.conv1_2(model.relu1_1(model.conv1_1(image)))
        last = model(image)
    assert 0.1 < (last.square().mean() / first.square().mean()).item() < 10


def test_a_parameter_does_not_depend_on_the_others(body):
    whole = state_of(narrow())
    convolutions = state_of(narrow(None))
    assert set(convolutions) == {name for name in whole if name.startswith("conv")}
    assert all(np.array_equal(convolutions[name], whole[name]) for name in convolutions)
    assert not np.array_equal(body["conv5_2.weight"], body["conv5_3.weight"])


def test_seeds_and_schemes_give_different_weights_and_the_same_ones_the_same():
    hashes = [
        weights_sha256(state_of(narrow(), init, seed))
        for init, seed in [("kaiming_normal", 0), ("kaiming_normal", 1), ("lecun_normal", 0)]
    ]
    assert len(set(hashes)) == 3
    assert weights_sha256(state_of(narrow(), "kaiming_normal", 1)) == hashes[1]


def test_memory_layout_and_device_do_not_change_the_values():
    plain, last = torch.nn.Conv2d(5, 7, 3), torch.nn.Conv2d(5, 7, 3)
    last = last.to(memory_format=torch.channels_last)
    initialise(plain, "lecun_normal", 2)
    initialise(last, "lecun_normal", 2)
    assert torch.equal(plain.weight, last.weight)
    assert last.weight.is_contiguous(memory_format=torch.channels_last)


def test_normalisation_layers_start_as_the_identity():
    norm = torch.nn.BatchNorm2d(6)
    for value in [*norm.parameters(), norm.running_mean, norm.running_var]:
        torch.nn.init.constant_(value, 9)
    norm.num_batches_tracked += 4
    initialise(norm.eval(), "kaiming_normal", 0)
    image = torch.randn(2, 6, 3, 3)
    assert torch.allclose(norm(image), image, atol=1e-4)
    assert norm.num_batches_tracked == 0


@pytest.mark.parametrize(
    "init", ["normal", "gaussian", "gaussian:x", "gaussian:-1", "gaussian:nan"]
)
def test_an_unknown_scheme_is_refused_with_the_known_ones_named(init):
    with pytest.raises(BadInput, match="is not one of kaiming_normal, xavier_normal"):
        initialise(narrow(), init, 0)


def test_a_negative_seed_and_a_parameter_without_a_rule_are_refused():
    with pytest.raises(BadInput, match="seed is -1"):
        initialise(narrow(), "kaiming_normal", -1)
    odd = torch.nn.ParameterDict({"temperature": torch.ones(1)})
    with pytest.raises(BadInput, match=r"temperature, of shape \(1,\)"):
        initialise(odd, "kaiming_normal", 0)


def test_a_hash_is_of_names_types_shapes_and_values_and_of_nothing_else():
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    whole = {"a": values, "b": np.float64(1.5).reshape(())}
    expected = weights_sha256(whole)
    same = [
        {"b": whole["b"], "a": values},
        {"a": torch.from_numpy(values), "b": torch.tensor(1.5, dtype=torch.float64)},
        {"a": np.asfortranarray(values).astype(">f4"), "b": whole["b"]},
        {"a": torch.from_numpy(values.T.copy()).T, "b": whole["b"]},
    ]
    assert {weights_sha256(state) for state in same} == {expected}
    other = [
        {"a": values},
        {"a": values, "c": whole["b"]},
        {"a": values.reshape(3, 2), "b": whole["b"]},
        {"a": values.view(np.int32), "b": whole["b"]},
        {"a": values, "b": whole["b"].reshape(1)},
        {"a": np.nextafter(values, np.float32(9)), "b": whole["b"]},
    ]
    hashes = {weights_sha256(state) for state in other}
    assert len(hashes) == len(other)
    assert expected not in hashes


def test_a_hash_tells_apart_states_whose_bytes_run_together():
    one = {"a": np.zeros(2, np.uint8), "b": np.zeros(1, np.uint8)}
    two = {"a": np.zeros(1, np.uint8), "b": np.zeros(2, np.uint8)}
    assert weights_sha256(one) != weights_sha256(two)
    assert weights_sha256({"w": torch.ones(3, dtype=torch.bfloat16)}) != weights_sha256(
        {"w": torch.ones(3, dtype=torch.float16)}
    )
