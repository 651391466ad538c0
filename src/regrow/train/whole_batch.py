"""Layers whose result depends on the whole batch, where each process has only a part of it.

Drop path draws for every image of the global batch and keeps its part; batch norm takes its statistics over the global
batch. Both then do what one process does. Plain dropout draws for the part alone; no model here has it.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from timm.layers.drop import DropPath
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from regrow.errors import UserError
from regrow.train import distributed


def see_whole_batches(model: nn.Module) -> None:
    """Change such layers of a model in place; nothing where one process has the whole batch.

    Raises:
        UserError: a batch norm that is not torch's BatchNorm1d or 2d, such as timm's fused ones.
    """
    if distributed.size() == 1:
        return
    for name, module in model.named_modules():
        if type(module) is DropPath:
            module.__class__ = _DropPath
        elif type(module) in _WHOLE:
            module.__class__ = _WHOLE[type(module)]
        elif isinstance(module, _BatchNorm) and not isinstance(module, _WholeBatchNorm):
            raise UserError(
                f"{name}: the statistics of a {type(module).__name__} are not shared by processes; train this model "
                "in one process"
            )


class _DropPath(DropPath):
    def forward(self, x: Tensor) -> Tensor:
        """x [B, ...]."""
        ones = x.new_ones(len(x) * distributed.size(), *[1] * (x.ndim - 1))
        drawn: Tensor = super().forward(ones)  # type: ignore[no-untyped-call]
        return x * drawn[distributed.part(len(drawn))]


class _WholeBatchNorm(_BatchNorm):
    def forward(self, x: Tensor) -> Tensor:
        """x [B, C, ...]. As torch: biased variance in the output, unbiased in the running statistics."""
        if not self.training:
            return super().forward(x)
        wide = x.to(self.weight.dtype)
        mean = _mean(wide)
        centred = wide - mean
        variance = _mean(centred.square())
        count = distributed.size() * x.numel() // x.shape[1]
        for buffer, found in (("running_mean", mean), ("running_var", variance * count / (count - 1))):
            running = self.get_buffer(buffer)
            running.lerp_(found.detach().flatten(), self.momentum or 0.0)
        self.get_buffer("num_batches_tracked").add_(1)
        scaled = centred * torch.rsqrt(variance + self.eps)
        shape = (-1, *[1] * (x.ndim - 2))
        return (scaled * self.weight.view(shape) + self.bias.view(shape)).to(x.dtype)


class _BatchNorm1d(_WholeBatchNorm, nn.BatchNorm1d):
    pass


class _BatchNorm2d(_WholeBatchNorm, nn.BatchNorm2d):
    pass


_WHOLE = {nn.BatchNorm1d: _BatchNorm1d, nn.BatchNorm2d: _BatchNorm2d}


def _mean(x: Tensor) -> Tensor:
    """Per channel over the global batch, [1, C, 1, ...]."""
    found: Tensor = _Sum.apply(x.mean((0, *range(2, x.ndim)), keepdim=True))
    return found / distributed.size()


class _Sum(torch.autograd.Function):
    """The sum over the processes, through which gradients go back: every process's loss depends on every part."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        """Sum forward."""
        x = x.clone()
        dist.all_reduce(x)
        return x

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        """Sum backward."""
        gradient = gradient.contiguous().clone()
        dist.all_reduce(gradient)
        return gradient
