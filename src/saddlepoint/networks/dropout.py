"""Dropout (Srivastava et al. 2014), its masks drawn from the run's streams."""

from torch import Tensor

from saddlepoint.streams import Streams


def dropout(x: Tensor, rate: float, streams: Streams, name: str) -> Tensor:
    """Each entry of `x` `[*, n, …]` is 0 with probability `rate`, else divided by `1 - rate`, so that its mean stays.

    The mask is drawn from the stream `name`, another one at each call: a replica drops what its lone run drops.

    Source: Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting", section 4.

    >>> import torch
    >>> dropout(torch.ones(2, 4), 0.5, Streams(0), "dropout").unique()
    tensor([0., 2.])
    """
    mask = streams.uniform(name, *x.shape[len(streams.leading) :]) >= rate
    return x * (mask.to(x.dtype) / (1 - rate))
