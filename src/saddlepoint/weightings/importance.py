"""Importance weights: a fake weighs what the discriminator says the ratio of the densities is (Hu et al. 2017)."""

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from saddlepoint.rounds import EMPTY, State, log
from saddlepoint.weightings.weighting import Weighting, in_full_precision, softmax_of_mean_one


class Importance(Weighting):
    r"""`w_i = r_i / sum_j r_j` with `r = D / (1 - D) = e^s`, which is `softmax(s)`; here times m.

    For the optimal discriminator `r = p_r / p_g`, so the weighted fakes are distributed as the data. With `clip` and
    `temperature` the weights are those of `min(r, clip)^(1/temperature)`.

    `space: log` never overflows, but one sample may take all the weight. `space: probability` computes `D / (1 - D)` as printed,
    which is infinite, and the weights NaN, as soon as `sig(s)` rounds to 1: at s > 16.64 in float32, 36.7 in float64. It is
    there to reproduce that failure.

    Source: Hu et al. 2017 (importance-weighted GAN); the weights are also those of Hjelm et al. 2018, equation 8.

    >>> import torch
    >>> Importance()(torch.tensor([0.0, 3.0]).log1p())
    tensor([0.4000, 1.6000])
    >>> Importance(space="probability")(torch.tensor([0.0, 20.0]))
    tensor([0., nan])
    """

    name: ClassVar[str] = "importance"
    needs_probability: ClassVar[bool] = True
    bibtex: ClassVar[str] = """@article{hu2017unifying,
  title={On unifying deep generative models},
  author={Hu, Zhiting and Yang, Zichao and Salakhutdinov, Ruslan and Xing, Eric P.},
  journal={arXiv preprint arXiv:1706.00550},
  year={2017}
}

@inproceedings{hjelm2018boundary,
  title={Boundary-seeking generative adversarial networks},
  author={Hjelm, R. Devon and Jacob, Athul Paul and Che, Tong and Trischler, Adam and Cho, Kyunghyun and Bengio, Yoshua},
  booktitle={International Conference on Learning Representations},
  year={2018}
}

@article{che2017maximum,
  title={Maximum-likelihood augmented discrete generative adversarial networks},
  author={Che, Tong and Li, Yanran and Zhang, Ruixiang and Hjelm, R. Devon and Li, Wenjie and Song, Yangqiu and Bengio, Yoshua},
  journal={arXiv preprint arXiv:1702.07983},
  year={2017}
}"""

    space: Literal["log", "probability"] = Field(
        default="log", description="where the ratio is computed; probability overflows as printed"
    )
    clip: float | None = Field(default=None, gt=0, description="the largest ratio D/(1-D) that counts; none by default")
    temperature: float = Field(default=1.0, gt=0, description="the ratio is raised to 1/temperature; above 1 flattens the weights")

    def __call__(self, scores: Tensor, state: State = EMPTY) -> Tensor:
        detached = in_full_precision(scores.detach())
        weights = self._from_logs(detached) if self.space == "log" else self._from_probabilities(detached.sigmoid())
        return weights.to(scores.dtype)

    def _from_logs(self, ratio: Tensor) -> Tensor:
        if self.clip is not None:
            ratio = ratio.clamp_max(log(self.clip))
        return softmax_of_mean_one(ratio / self.temperature)

    def _from_probabilities(self, probability: Tensor) -> Tensor:
        ratio = probability / (1 - probability)
        if self.clip is not None:
            ratio = ratio.clamp_max(self.clip)
        ratio = ratio ** (1 / self.temperature)
        return ratio / ratio.mean(-1, keepdim=True)
