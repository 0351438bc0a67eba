"""What is read off a discriminator's round for the log."""

import torch
from torch import Tensor

from saddlepoint.games.two_players import TwoPlayers
from saddlepoint.rounds import Round


@torch.no_grad()
def score_monitors(game: TwoPlayers, round: Round, held_out: Tensor) -> dict[str, Tensor]:
    """Mean scores of the round's real and fake samples and of held-out real ones, `[*]` by name; and, where the objective
    declares a boundary, the share of each that falls on its right side.

    Args:
        held_out: scores of held-out real samples by the same weights, `[*, n]`.
    """
    scores = {side: round.judge(side).scores for side in ("real", "fake") if round.judged(side)}
    scores["held-out"] = held_out
    found = {f"discriminator/score {side}": values.mean(-1) for side, values in scores.items()}
    boundary = game.players["discriminator"].objective.boundary
    if boundary is not None:
        for side, values in scores.items():
            right = values < boundary if side == "fake" else values > boundary
            found[f"discriminator/accuracy {side}"] = right.to(values.dtype).mean(-1)
    return found
