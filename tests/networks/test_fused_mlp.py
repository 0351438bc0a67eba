"""The fused kernel of stacked perceptrons against the plain layers, and what happens where it cannot be had."""

import copy
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from saddlepoint.networks import compiled_mlp, fused_mlp, kernel_library
from saddlepoint.networks.fused_mlp import ActivationName, FusedMlp
from saddlepoint.networks.kernel_library import NoKernel
from saddlepoint.networks.layers import Linear
from saddlepoint.networks.mlp import Mlp
from saddlepoint.networks.network import PLAYERS, Discriminator, Generator
from saddlepoint.networks.normalizations import CHOICES
from saddlepoint.recipe import load
from saddlepoint.rounds import Example
from saddlepoint.streams import Streams
from saddlepoint.training.loop import Nobody, resume, train
from saddlepoint.training.session import Session

REPLICAS = 3
TOLERANCES = {torch.float64: 1e-12, torch.float32: 1e-5}
ACTIVATIONS: tuple[ActivationName, ...] = get_args(ActivationName)
# Below, at and above a vector's four or eight or sixteen numbers, and tiles of six rows.
SIZES: dict[str, dict[str, Any]] = {
    "32-32": {},
    "linear": {"depth": 0},
    "odd": {"widths": (5, 33, 7)},
    "whole vectors": {"widths": (16, 8, 64)},
    "one": {"widths": (1,), "latent": 1},
    "wide latent": {"widths": (12, 3), "latent": 19},
}
SHAPES: dict[str, tuple[int, ...]] = {"points": (2,), "images": (1, 3, 6)}

Pair = tuple[Any, Any]


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SADDLEPOINT_CACHE", str(tmp_path_factory.mktemp("cache")))
        kernel_library.library.cache_clear()
        yield
    kernel_library.library.cache_clear()


def pairs(record: Mlp, shape: tuple[int, ...], dtype: torch.dtype) -> tuple[tuple[Generator, Generator], tuple[Any, Any]]:
    """Both networks, plain and fused."""
    streams = Streams(list(range(REPLICAS)))
    plain = record.generator(shape, streams).to(dtype=dtype), record.discriminator(shape, streams).to(dtype=dtype)
    fused = copy.deepcopy(plain)
    for network in fused:
        record.fuse(network)
        assert network.fused is not None
    return (plain[0], fused[0]), (plain[1], fused[1])


def gradients(network: nn.Module, x: Tensor, seen: Tensor) -> dict[str, Tensor]:
    """What comes out, and the gradients of every parameter and of the input for a random direction."""
    for parameter in network.parameters():
        parameter.grad = None
    out = network(x)
    inputs = [tensor for tensor in (x, *network.parameters()) if tensor.requires_grad]
    found = torch.autograd.grad(out, inputs, seen.reshape(out.shape)) if inputs else ()
    return {"out": out.detach()} | {str(number): tensor for number, tensor in enumerate(found)}


def far(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    assert one.keys() == other.keys()
    assert all(one[name].shape == other[name].shape for name in one)
    one, other = ({name: tensor.detach() for name, tensor in side.items()} for side in (one, other))
    return max(float((one[name] - other[name]).abs().max() / other[name].abs().max().clamp_min(1)) for name in one)


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_it_is_the_plain_layers(activation: ActivationName, size: str, shape: str, dtype: torch.dtype) -> None:
    record = Mlp.model_validate({"activation": activation, **SIZES[size]})
    generators, discriminators = pairs(record, SHAPES[shape], dtype)
    for n in (1, 6, 35):
        draws = Streams([5, 6, 7], dtype=dtype)
        latents, image = draws.normal("latents", n, record.latent), draws.normal("image", n, *SHAPES[shape])
        made, scored = draws.normal("made", n, *SHAPES[shape]), draws.normal("scored", n)
        for (plain, fused), x, seen in ((generators, latents, made), (discriminators, image, scored)):
            assert far(gradients(fused, x, seen), gradients(plain, x, seen)) < TOLERANCES[dtype]
    frozen = [copy.deepcopy(network).requires_grad_(False) for network in discriminators]
    image.requires_grad_()
    assert far(gradients(frozen[1], image, scored), gradients(frozen[0], image, scored)) < TOLERANCES[dtype]


@pytest.mark.parametrize("kind", [kind for kind in CHOICES if not any(Mlp.refusal(CHOICES[kind](), who) for who in PLAYERS)])
def test_normalisations_it_does_not_know_stay_plain(kind: str) -> None:
    record = Mlp.model_validate({"widths": (5, 7), "normalization": {"generator": kind, "discriminator": kind}})
    streams = Streams(list(range(REPLICAS)), dtype=torch.float64)
    generator, discriminator = record.generator((2,), streams), record.discriminator((2,), streams)
    plain = copy.deepcopy(discriminator)
    record.fuse(generator)
    record.fuse(discriminator)
    assert (generator.fused is not None) == (kind == "none")
    assert (discriminator.fused is not None) == (kind in ("none", "spectral", "equalized"))
    image, seen = streams.normal("image", 9, 2), streams.normal("seen", 9)
    assert far(gradients(discriminator, image, seen), gradients(plain, image, seen)) < 1e-12


def test_a_lone_network_stays_plain() -> None:
    generator = Mlp().generator((2,), Streams(0))
    Mlp().fuse(generator)
    assert generator.fused is None


def test_inputs_may_lie_apart() -> None:
    _, (plain, fused) = pairs(Mlp(), (2,), torch.float64)
    wide = Streams([1, 2, 3], dtype=torch.float64).normal("image", 4, 9, 6)
    for image in (wide[:, 1, :, :2], wide[:, :, 3, 4:], wide[:1, 0, :, :2].expand(REPLICAS, 9, 2)):
        assert not image.is_contiguous()
        assert far({"": fused(image)}, {"": plain(image)}) < 1e-12


def test_features_and_input_gradients_of_higher_order_go_the_plain_way(monkeypatch: pytest.MonkeyPatch) -> None:
    _, (plain, fused) = pairs(Mlp(), (2,), torch.float64)
    calls: list[Tensor] = []
    kernel = FusedMlp(tuple(layer for layer in fused.modules() if isinstance(layer, Linear)), "relu")

    def counted(x: Tensor) -> Tensor:
        calls.append(x)
        return kernel(x)

    monkeypatch.setattr(fused, "fused", counted)
    image = Streams([1, 2, 3], dtype=torch.float64).normal("image", 9, 2)
    assert far(fused.judge(Example(image), True).features, plain.judge(Example(image), True).features) == 0
    assert not calls
    fused(image)
    assert len(calls) == 1

    def penalty(network: Discriminator) -> tuple[Tensor, ...]:
        at = image.clone().requires_grad_()
        (slope,) = torch.autograd.grad(network(at).sum(), at, create_graph=True)
        return torch.autograd.grad(slope.square().sum(), list(network.parameters()), materialize_grads=True)

    assert all(bool((mine == theirs).all()) for mine, theirs in zip(penalty(fused), penalty(plain), strict=True))
    assert len(calls) == 1
    at = image.clone().requires_grad_()
    with pytest.raises(RuntimeError, match="differentiable once"):
        torch.autograd.grad(kernel(at).sum(), at, create_graph=True)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_replica_that_is_not_finite_leaves_the_others_alone(activation: ActivationName) -> None:
    _, (plain, fused) = pairs(Mlp.model_validate({"activation": activation, "width": 9}), (2,), torch.float64)
    for network in (plain, fused):
        next(iter(network.parameters())).data[1, 3, 0] = float("nan")
    image, seen = Streams([1, 2, 3], dtype=torch.float64).normal("image", 9, 2), torch.ones(REPLICAS, 9, dtype=torch.float64)
    for name, mine in gradients(fused, image, seen).items():
        theirs = gradients(plain, image, seen)[name]
        assert float((mine - theirs)[[0, 2]].abs().max()) < 1e-12
        assert bool(mine[1].isnan().any()) == bool(theirs[1].isnan().any()), name


# In a critic's bias the two sides may cancel to nothing but rounding, of which Adam makes whole steps; SGD makes none.
GAMES: dict[str, list[str]] = {
    "wegan": [],
    "wgan-gp": ["optimizers={name: sgd, lr: 1e-2}", "data=8-gaussians", "networks={family: mlp, latent: 2, width: 9}"],
    "lsgan-sdp": ["data=8-gaussians", "networks={family: mlp, latent: 2, width: 9}"],
}


@pytest.mark.parametrize("kernels", ["auto", pytest.param("compiled", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", GAMES)
def test_a_game_is_the_plain_game(name: str, kernels: str) -> None:
    states = {}
    for way in (kernels, "plain"):
        recipe = load(name, [*GAMES[name], "seeds=0..2", "batch=13", "precision=float64", f"kernels={way}"])
        session = Session(recipe, recipe.data.open())
        assert session.kernels == {"auto": "fused", "compiled": "compiled", "plain": "plain"}[way]
        for _ in range(20):
            session.trainer.update()
        states[way] = {
            f"{file}/{key}": tensor
            for file, tensors in session.snapshot().clone().tensors.items()
            for key, tensor in tensors.items()
        }
    assert far(states[kernels], states["plain"]) < 1e-12


def test_a_penalty_of_the_generator_on_input_gradients_keeps_the_discriminator_plain() -> None:
    recipe = load("wegan", ["seeds=0..1", "batch=4", "penalties={generator: [{name: r2}]}"])
    session = Session(recipe, recipe.data.open())
    assert session.game.generator.fused is not None
    assert session.game.discriminator.fused is None
    session.trainer.update()


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("SADDLEPOINT_CACHE", str(tmp_path / "cache"))
    kernel_library.library.cache_clear()
    yield tmp_path / "cache" / "kernels"
    kernel_library.library.cache_clear()


def test_a_compiled_kernel_is_kept_and_a_damaged_one_made_again(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[Path] = []
    real = kernel_library._compile

    def counted(command: list[str], source: Path, made: Path) -> None:
        compiled.append(made)
        real(command, source, made)

    monkeypatch.setattr(kernel_library, "_compile", counted)
    kernel_library.library(fused_mlp.SOURCE, torch.float32)
    (kept,) = fresh.glob("*.so")
    kernel_library.library.cache_clear()
    kernel_library.library(fused_mlp.SOURCE, torch.float32)
    assert len(compiled) == 1
    whole = kept.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:]):
        kept.unlink()  # the library is mapped; its file is replaced, never written over
        kept.write_bytes(damaged)
        kernel_library.library.cache_clear()
        kernel_library.library(fused_mlp.SOURCE, torch.float32)
        assert kernel_library._whole(kept)
    assert len(compiled) == 4
    assert sorted(path.suffix for path in fresh.iterdir()) == [".lock", ".so"]


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SADDLEPOINT_CACHE", str(tmp_path / "file"))
    kernel_library.library.cache_clear()
    assert kernel_library.library(fused_mlp.SOURCE, torch.float64).hidden_numbers is not None


REFUSING = "#!/bin/sh\ncase $1 in --version) echo 1;; *) echo 'x.c:1: error: no such flag' >&2; exit 1;; esac\n"


@pytest.mark.parametrize("compiler", ["absent", "refusing"])
def test_without_a_compiler_the_plain_layers_train_and_it_is_said(
    compiler: str, fresh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Listening(Nobody):
        def __init__(self) -> None:
            self.heard: list[str] = []

        def warned(self, message: str) -> None:
            self.heard.append(message)

    recipe = load("wegan", ["seeds=0..1", "updates=2", "batch=4"])
    run = train(recipe, tmp_path / "run")
    refusing = tmp_path / "refusing"
    refusing.write_text(REFUSING)
    refusing.chmod(0o755)
    monkeypatch.setenv("CC", str(refusing) if compiler == "refusing" else "no-such-compiler")
    kernel_library.library.cache_clear()
    observer = Listening()
    resume(run, 4, observer)
    first, second = observer.heard
    assert first.startswith("kernels: auto is not to be had, since ")
    assert ("there is no C compiler (no-such-compiler)" in first) == (compiler == "absent")
    assert ("error: no such flag" in first) == (compiler == "refusing")
    assert "kernels fused before, plain now" in second
    assert "not to the same bits" in second


def test_where_torch_cannot_compile_the_plain_layers_train_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*given: Any) -> Tensor:
        raise RuntimeError("no working C++ compiler\nmore")

    monkeypatch.setattr(compiled_mlp, "_compiled", lambda: failing)
    recipe = load("wegan", ["seeds=0..1", "batch=4", "kernels=compiled"])
    session = Session(recipe, recipe.data.open())
    assert session.kernels == "plain"
    why = "torch.compile fails (RuntimeError: no working C++ compiler)"
    assert session.warnings == (f"kernels: compiled is not to be had, since {why}; the plain layers train, more slowly",)
    session.trainer.update()


def test_only_its_own_numbers_are_computed_by_it() -> None:
    generator = Mlp().generator((2,), Streams([0, 1])).to(torch.bfloat16)
    with pytest.raises(NoKernel, match="bfloat16"):
        Mlp().fuse(generator)
