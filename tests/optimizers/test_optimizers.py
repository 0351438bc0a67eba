"""Every optimizer against its formula in plain numbers, every projection, and the state that a checkpoint keeps."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from saddlepoint.optimizers import OPTIMIZERS, PROJECTIONS
from saddlepoint.optimizers.state import load_optimizer_state, optimizer_state

Array = NDArray[np.float64]
Step = Callable[[Array, Array], Array]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def adam(lr: float = 2e-4, betas: tuple[float, float] = (0.5, 0.999), eps: float = 1e-8, weight_decay: float = 0.0) -> Step:
    state = {"m": np.zeros(3), "v": np.zeros(3), "t": np.zeros(1)}

    def step(w: Array, g: Array) -> Array:
        g = g + weight_decay * w
        state["t"] += 1
        state["m"] = betas[0] * state["m"] + (1 - betas[0]) * g
        state["v"] = betas[1] * state["v"] + (1 - betas[1]) * g**2
        m, v = state["m"] / (1 - betas[0] ** state["t"]), state["v"] / (1 - betas[1] ** state["t"])
        return np.asarray(w - lr * m / (np.sqrt(v) + eps))

    return step


def rmsprop(lr: float = 5e-5, alpha: float = 0.99, eps: float = 1e-8, momentum: float = 0.0, weight_decay: float = 0.0) -> Step:
    state = {"v": np.zeros(3), "u": np.zeros(3)}

    def step(w: Array, g: Array) -> Array:
        g = g + weight_decay * w
        state["v"] = alpha * state["v"] + (1 - alpha) * g**2
        state["u"] = momentum * state["u"] + g / (np.sqrt(state["v"]) + eps)
        return np.asarray(w - lr * state["u"])

    return step


def sgd(lr: float = 1e-2, momentum: float = 0.0, nesterov: bool = False, weight_decay: float = 0.0) -> Step:
    state = {"u": np.zeros(3)}

    def step(w: Array, g: Array) -> Array:
        g = g + weight_decay * w
        state["u"] = momentum * state["u"] + g
        return np.asarray(w - lr * (g + momentum * state["u"] if nesterov else state["u"]))

    return step


def optimistic_mirror_descent(lr: float = 1e-2) -> Step:
    state = {"g": np.zeros(3)}

    def step(w: Array, g: Array) -> Array:
        before, state["g"] = state["g"], g.copy()
        return np.asarray(w - 2 * lr * g + lr * before)

    return step


def optimistic_adam(lr: float = 1e-4, betas: tuple[float, float] = (0.5, 0.9), eps: float = 1e-8) -> Step:
    state = {"m": np.zeros(3), "v": np.zeros(3), "t": np.zeros(1), "u": np.zeros(3)}

    def step(w: Array, g: Array) -> Array:
        state["t"] += 1
        state["m"] = betas[0] * state["m"] + (1 - betas[0]) * g
        state["v"] = betas[1] * state["v"] + (1 - betas[1]) * g**2
        m, v = state["m"] / (1 - betas[0] ** state["t"]), state["v"] / (1 - betas[1] ** state["t"])
        before, state["u"] = state["u"], m / (np.sqrt(v) + eps)
        return np.asarray(w - 2 * lr * state["u"] + lr * before)

    return step


FORMULAS: dict[str, Callable[..., Step]] = {
    "adam": adam,
    "rmsprop": rmsprop,
    "sgd": sgd,
    "optimistic-mirror-descent": optimistic_mirror_descent,
    "optimistic-adam": optimistic_adam,
}
SETTINGS: list[tuple[str, dict[str, Any]]] = [
    ("adam", {}),
    ("adam", {"lr": 1e-2, "betas": (0.0, 0.9)}),
    ("adam", {"lr": 1e-2, "betas": (0.9, 0.99), "eps": 1e-3, "weight_decay": 0.1}),
    ("rmsprop", {}),
    ("rmsprop", {"lr": 1e-2, "alpha": 0.9, "eps": 1e-4, "momentum": 0.5, "weight_decay": 0.1}),
    ("sgd", {}),
    ("sgd", {"lr": 0.1, "momentum": 0.9}),
    ("sgd", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("optimistic-mirror-descent", {"lr": 0.1}),
    ("optimistic-adam", {}),
    ("optimistic-adam", {"lr": 1e-2, "betas": (0.9, 0.99), "eps": 1e-3}),
]


def test_how_many() -> None:
    assert set(OPTIMIZERS) == set(FORMULAS) == {name for name, _ in SETTINGS}
    assert len(OPTIMIZERS) == 5
    assert len(PROJECTIONS) == 1


@pytest.mark.parametrize(("name", "fields"), SETTINGS)
@pytest.mark.parametrize("fused", [False, True])
def test_steps_are_the_formula(name: str, fields: dict[str, Any], fused: bool) -> None:
    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64))
    optimizer, step = OPTIMIZERS[name](**fields).build({"weight": weight}, fused=fused), FORMULAS[name](**fields)
    assert isinstance(optimizer, torch.optim.Optimizer)
    expected = weight.detach().numpy().copy()
    for t in range(25):
        optimizer.zero_grad()
        torch.autograd.backward((weight.square() * torch.tensor([1.0, 3.0, -0.2]) + weight * math.sin(t)).sum())
        assert weight.grad is not None
        expected = step(expected, weight.grad.numpy())
        optimizer.step()
        np.testing.assert_allclose(weight.detach().numpy(), expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("fused", [False, True])
def test_the_trainer_sets_the_rate_before_each_step(name: str, fused: bool) -> None:
    record = OPTIMIZERS[name](lr={"name": "linear", "start": 0.1, "end": 0.0, "last": 4})
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = record.build({"weight": weight}, fused=fused)
    assert len(optimizer.param_groups) == 1
    assert optimizer.param_groups[0]["lr"] == 0.1
    optimizer.param_groups[0]["lr"] = record.lr(4)
    torch.autograd.backward(weight.sum())
    optimizer.step()
    assert torch.equal(weight.detach(), torch.ones(2))


@pytest.mark.parametrize("slope", [3.0, -0.01])
def test_optimistic_steps_under_a_constant_gradient(slope: float) -> None:
    """The first is twice as long; each later one is a plain one."""
    for name, size in (("optimistic-adam", math.copysign(1, slope)), ("optimistic-mirror-descent", slope)):
        weight = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
        optimizer = OPTIMIZERS[name](lr=0.1).build({"weight": weight}, fused=False)
        for t in range(5):
            weight.grad = torch.full_like(weight, slope)
            optimizer.step()
            assert weight.item() == pytest.approx(-0.1 * size * (t + 2), rel=1e-5)


@pytest.mark.parametrize(
    ("name", "fields", "paced"),
    [
        ("adam", {"betas": (0.0, 0.81)}, {"betas": (0.0, 0.9)}),
        ("optimistic-adam", {"betas": (0.25, 0.81)}, {"betas": (0.5, 0.9)}),
        ("rmsprop", {"alpha": 0.81, "momentum": 0.25}, {"alpha": 0.9, "momentum": 0.5}),
        ("sgd", {"momentum": 0.25}, {"momentum": 0.5}),
        ("optimistic-mirror-descent", {}, {}),
    ],
)
def test_steps_of_half_a_length_forget_half_as_much(name: str, fields: dict[str, Any], paced: dict[str, Any]) -> None:
    record = OPTIMIZERS[name](**fields)
    assert record.at_pace(0.5) == OPTIMIZERS[name](**paced)
    assert record.at_pace(1.0) is record


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_replicas_step_as_lone_runs(name: str) -> None:
    """Steps are elementwise: a stack of parameters moves as each alone."""
    start, slopes = torch.randn(3, 4), torch.randn(3, 4)
    stacked = torch.nn.Parameter(start.clone())
    optimizer = OPTIMIZERS[name](lr=0.01).build({"weight": stacked}, fused=False)
    apart = [torch.nn.Parameter(row.clone()) for row in start]
    alone = [OPTIMIZERS[name](lr=0.01).build({"weight": weight}, fused=False) for weight in apart]
    for _ in range(20):
        torch.autograd.backward((stacked.square() * slopes).sum())
        optimizer.step()
        optimizer.zero_grad()
        for r in range(3):
            torch.autograd.backward((apart[r].square() * slopes[r]).sum())
            alone[r].step()
            alone[r].zero_grad()
    torch.testing.assert_close(stacked.detach(), torch.stack([weight.detach() for weight in apart]), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(("name", "fields"), SETTINGS)
@pytest.mark.parametrize("fused", [False, True])
def test_state_goes_out_and_in_to_the_same_bits(name: str, fields: dict[str, Any], fused: bool) -> None:
    def made() -> tuple[dict[str, Tensor], torch.optim.Optimizer]:
        torch.manual_seed(3)
        kernel = torch.nn.Parameter(torch.randn(4, 3, 2, 2).contiguous(memory_format=torch.channels_last))
        parameters: dict[str, Tensor] = {
            "net.0.weight": kernel,
            "net.0.bias": torch.nn.Parameter(torch.randn(4)),
            "idle": torch.nn.Parameter(torch.ones(1)),
        }
        return parameters, OPTIMIZERS[name](**fields).build(parameters, fused=fused)

    def step(parameters: dict[str, Tensor], optimizer: torch.optim.Optimizer, t: int) -> None:
        optimizer.zero_grad()
        kernel, bias = parameters["net.0.weight"], parameters["net.0.bias"]
        loss = (kernel * math.cos(t)).sin().sum() + (bias - t).square().sum()
        torch.autograd.backward(loss, inputs=[kernel, bias])
        optimizer.step()

    parameters, optimizer = made()
    for t in range(3):
        step(parameters, optimizer, t)
    tensors, numbers = optimizer_state(optimizer, parameters)
    stored = {key: value.clone(memory_format=torch.contiguous_format) for key, value in tensors.items()}
    weights = {key: value.detach().clone(memory_format=torch.contiguous_format) for key, value in parameters.items()}
    assert not any(key.startswith("idle") for key in stored)
    assert bool(stored) == (name != "sgd" or "momentum" in fields)

    resumed, again = made()
    with torch.no_grad():
        for key, value in resumed.items():
            value.copy_(weights[key])
    step(resumed, again, 99)  # whatever it remembered is replaced
    with torch.no_grad():
        for key, value in resumed.items():
            value.copy_(weights[key])
    load_optimizer_state(again, resumed, stored, numbers)
    restored, _ = optimizer_state(again, resumed)
    assert restored.keys() == tensors.keys()
    for key, value in restored.items():
        assert torch.equal(value, tensors[key])
        assert value.dtype == tensors[key].dtype
        assert value.stride() == tensors[key].stride()
        assert value.data_ptr() != stored[key].data_ptr()
    for t in range(3, 6):
        step(parameters, optimizer, t)
        step(resumed, again, t)
    for key in parameters:
        assert torch.equal(parameters[key], resumed[key])


def test_loading_replaces_all_there_was() -> None:
    """A parameter without stored state has none afterwards, whatever it remembered."""
    parameters: dict[str, Tensor] = {"a": torch.nn.Parameter(torch.ones(2)), "b": torch.nn.Parameter(torch.ones(2))}
    optimizer = OPTIMIZERS["adam"]().build(parameters, fused=False)
    torch.autograd.backward(parameters["a"].sum() + parameters["b"].sum())
    optimizer.step()
    tensors, numbers = optimizer_state(optimizer, parameters)
    load_optimizer_state(optimizer, parameters, {name: value for name, value in tensors.items() if name.startswith("a.")}, numbers)
    assert set(optimizer_state(optimizer, parameters)[0]) == {"a.step", "a.exp_avg", "a.exp_avg_sq"}


def test_state_that_is_not_this_players_is_refused() -> None:
    weight = torch.nn.Parameter(torch.zeros(2, 3))
    optimizer = OPTIMIZERS["adam"]().build({"weight": weight}, fused=False)
    with pytest.raises(ValueError, match=r'"other\.exp_avg" belongs to no parameter'):
        load_optimizer_state(optimizer, {"weight": weight}, {"other.exp_avg": torch.zeros(2, 3)}, {})
    with pytest.raises(ValueError, match=r"shape \(3, 2\); its parameter has \(2, 3\)"):
        load_optimizer_state(optimizer, {"weight": weight}, {"weight.exp_avg": torch.zeros(3, 2)}, {})
    assert not optimizer.state


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_records(name: str) -> None:
    record = OPTIMIZERS[name]
    assert record.name == name
    assert "@" in record.bibtex
    assert record(**record().model_dump()) == record()
    assert all(field.description for field in record.model_fields.values())
    with pytest.raises(ValueError, match="Extra inputs"):
        record(no_such_field=1)
    for rate in (-1, 0, {"name": "linear", "start": 0.1, "end": -0.1}, math.inf):
        with pytest.raises(ValueError, match=r"is not a rate|finite"):
            record(lr=rate)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("adam", {"betas": (0.5, 1.0)}),
        ("adam", {"betas": (0.5,)}),
        ("adam", {"eps": 0}),
        ("sgd", {"nesterov": True}),
        ("rmsprop", {"alpha": 1}),
        ("sgd", {"weight_decay": -1}),
    ],
)
def test_out_of_range_is_refused(name: str, fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(fields))):
        OPTIMIZERS[name](**fields)


# Projections


@pytest.mark.parametrize("bound", [0.01, 0.3])
def test_weight_clipping(bound: float) -> None:
    parameters: dict[str, Tensor] = {
        "weight": torch.nn.Parameter(torch.randn(3, 50)),
        "bias": torch.nn.Parameter(torch.full((4,), bound / 2)),
        "gain": torch.nn.Parameter(torch.ones(4)),
    }
    expected = {
        name: np.clip(value.detach().numpy().copy(), -np.float32(bound), np.float32(bound)) for name, value in parameters.items()
    }
    PROJECTIONS["weight-clipping"](bound=bound)(parameters)
    for name, value in parameters.items():
        assert np.array_equal(value.detach().numpy(), expected[name])
        assert value.requires_grad
        assert value.is_leaf
    assert (parameters["bias"] == bound / 2).all()


def test_weight_clipping_records() -> None:
    record = PROJECTIONS["weight-clipping"]
    assert record.name == "weight-clipping"
    assert record() == record(bound=0.01)
    assert "@" in record.bibtex
    for bound in (0, -1, math.nan):
        with pytest.raises(ValueError, match="bound"):
            record(bound=bound)
