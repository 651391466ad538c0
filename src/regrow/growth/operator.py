"""What an operator is: from two architectures to the maps of `regrow.expand`."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from regrow.config import Frozen, ModelConfig
from regrow.errors import UserError
from regrow.expand import Maps, expand
from regrow.models.vit import Tensors, check


class Operator(Frozen):
    """An operator's options are its fields; its equation is `cores` and `maps`.

    A closed-form operator returns its matrices from `cores`, keyed by axis, and is done. A learned one returns
    the tensors to train, and says in `maps` how matrices are made of them.
    """

    learned: ClassVar[bool] = False

    @abstractmethod
    def cores(self, source: ModelConfig, target: ModelConfig, generator: torch.Generator) -> Tensors:
        """The operator's own tensors (float64): its matrices, or what is trained to make them."""

    def maps(self, cores: Tensors) -> Maps:
        """From the cores to what `expand` applies."""
        return Maps(terms=(cores,))

    def finish(self, weights: Tensors, source: ModelConfig, target: ModelConfig, generator: torch.Generator) -> Tensors:
        """What is done to the grown weights once, and is no linear map: noise that breaks a symmetry."""
        return weights


def grow(operator: Operator, basis: Tensors, source: ModelConfig, target: ModelConfig, seed: int) -> Tensors:
    """Grow once, without fitting: the closed form, or a learned operator's starting point."""
    for field in ("patch_size", "img_size", "in_chans", "num_classes", "class_token"):
        if getattr(source, field) != getattr(target, field):
            raise UserError(
                f"source and target must share {field}: no operator maps it; "
                f"the source has {getattr(source, field)}, the target {getattr(target, field)}"
            )
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        cores = cast(operator.cores(source, target, generator), basis)
        weights = operator.finish(expand(basis, operator.maps(cores)), source, target, generator)
    check(weights, target, f"operator {type(operator).__name__}")
    return weights


def cast(cores: Tensors, basis: Tensors) -> Tensors:
    """The cores in the basis' precision and on its device."""
    like = next(iter(basis.values()))
    return {name: core.to(like) for name, core in cores.items()}


def select(index: Tensor, size: int) -> Tensor:
    """The 0/1 matrix [len(index), size] whose row j picks index[j]."""
    return torch.nn.functional.one_hot(index, size).double()


def noisy(matrix: Tensor, noise: float, generator: torch.Generator) -> Tensor:
    """A core with noise of about `noise` times its largest entry in every singular direction, whatever its size."""
    scale = noise * matrix.abs().max() / max(matrix.shape) ** 0.5
    perturbation: Tensor = scale * torch.randn(matrix.shape, generator=generator, dtype=matrix.dtype)
    return matrix + perturbation


def break_symmetry(weights: Tensors, noise: float, generator: torch.Generator) -> Tensors:
    """Net2Net's small noise: each matrix gets normal noise of `noise` times its own standard deviation."""
    if noise == 0:
        return weights
    return {
        name: tensor + noise * tensor.std() * torch.randn(tensor.shape, generator=generator).to(tensor)
        if name.endswith(".weight") and "norm" not in name and name != "head.weight"
        else tensor
        for name, tensor in weights.items()
    }
