"""Orthogonal regularisation: which rows of which layers, and its gradient."""

import pytest
import torch
from torch import Tensor, nn

from saddlepoint.networks import NETWORKS
from saddlepoint.penalties import PENALTIES
from saddlepoint.rounds import Learned, Round
from saddlepoint.streams import Streams


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def penalty_of(player: nn.Module) -> Tensor:
    nothing = torch.zeros(1, 2, dtype=torch.float64)
    round = Round.of(real=nothing, fake=nothing, discriminator=lambda x: x.sum(-1), player=player)
    return PENALTIES["orthogonal"]()(round)


def by_loops(rows: list[Tensor]) -> float:
    """Rows are what leads to each output."""
    return sum(float((one * other).sum()) ** 2 for i, one in enumerate(rows) for j, other in enumerate(rows) if i != j)


def test_of_every_layer_by_loops() -> None:
    """The layers of torch: a row of a transposed convolution is a slice of its second axis, within its group."""
    linear, narrow, wide = nn.Linear(5, 3), nn.Conv2d(4, 6, 3, groups=2), nn.Conv1d(2, 3, 2)
    up, grouped = nn.ConvTranspose2d(3, 4, 2), nn.ConvTranspose2d(4, 6, 2, groups=2)
    player = nn.Sequential(linear, narrow, wide, up, grouped, nn.Embedding(9, 4), nn.BatchNorm2d(3), nn.PReLU()).double()
    split = [grouped.weight[2 * group : 2 * group + 2, :] for group in (0, 1)]
    expected = (
        sum(by_loops(list(layer.weight)) for layer in (linear, narrow, wide))
        + by_loops([up.weight[:, output] for output in range(4)])
        + by_loops([part[:, output] for part in split for output in range(3)])
    )
    assert penalty_of(player).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("family", ["mlp", "dcgan", "resnet"])
@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_of_our_networks_as_of_torch_s(family: str, player: str) -> None:
    """All weights of layers and nothing else: neither biases nor normalisations, of which the penalty has no gradient."""
    shape = (2,) if family == "mlp" else (1, 16, 16)
    record = NETWORKS[family].model_validate({"width": 4, "latent": 3})
    network = getattr(record, player)(shape, Streams(0)).double()
    matrices = Learned.by(network).matrices()
    parameters = dict(network.named_parameters())
    assert set(matrices) == {name for name, parameter in parameters.items() if name.endswith(".weight") and parameter.ndim > 1}
    assert len(matrices) >= 3
    value = penalty_of(network)
    assert value.item() == pytest.approx(sum(by_loops(list(matrix)) for matrix in matrices.values()), rel=1e-9)
    found = torch.autograd.grad(value, list(parameters.values()), allow_unused=True)
    assert {name for name, gradient in zip(parameters, found, strict=True) if gradient is not None} == set(matrices)


def test_orthogonal_rows_cost_nothing_at_any_length() -> None:
    layer = nn.Linear(6, 4, bias=False, dtype=torch.float64)
    lengths = torch.tensor([0.1, 1.0, 3.0, 50.0], dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64)).Q[:4] * lengths[:, None])
    assert penalty_of(layer).item() == pytest.approx(0, abs=1e-20)


def test_its_gradient_is_the_true_one() -> None:
    """`4 ((W W^T) * (1 - I)) W`, of which the authors' code adds half."""
    layer = nn.Linear(5, 3, dtype=torch.float64)
    (found,) = torch.autograd.grad(penalty_of(layer), layer.weight)
    weight = layer.weight.detach()
    expected = 4 * ((weight @ weight.T) * (1 - torch.eye(3, dtype=torch.float64))) @ weight
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_each_replica_has_its_own() -> None:
    stacked = NETWORKS["mlp"].model_validate({"width": 4, "depth": 2}).discriminator((2,), Streams([0, 1, 2]))
    round = Round.of(real=torch.zeros(1, 2), fake=torch.zeros(1, 2), discriminator=lambda x: x.sum(-1), player=stacked)
    values = PENALTIES["orthogonal"]()(round)
    assert values.shape == (3,)
    for replica in range(3):
        lone = sum(by_loops(list(matrix[replica])) for matrix in Learned.by(stacked).matrices().values())
        assert values[replica].item() == pytest.approx(lone, rel=1e-5)


def test_descent_makes_rows_orthogonal_and_keeps_them_long() -> None:
    layer = nn.Linear(8, 4, bias=False, dtype=torch.float64)
    before = layer.weight.detach().norm(dim=1)
    descent = torch.optim.SGD(layer.parameters(), lr=0.1)
    for _ in range(300):
        descent.zero_grad()
        torch.autograd.backward(penalty_of(layer))
        descent.step()
    assert penalty_of(layer).item() < 1e-12
    assert bool((layer.weight.detach().norm(dim=1) > 0.25 * before).all())


def test_the_paper_s_weight() -> None:
    assert PENALTIES["orthogonal"]().weight(7) == 1e-4


def test_a_player_without_layers_is_refused() -> None:
    with pytest.raises(ValueError, match="this player has none"):
        penalty_of(nn.Embedding(3, 2))
