"""Architectures: plain ViTs, learngenes, and any timm model as a teacher."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from regrow.config.base import Frozen


class ModelConfig(Frozen):
    """A plain ViT in timm's words; `img_size` and `num_classes` come from the data set."""

    embed_dim: int = Field(gt=0)
    depth: int = Field(gt=0)
    num_heads: int = Field(gt=0)
    patch_size: int = Field(gt=0)
    mlp_ratio: float = Field(default=4.0, gt=0)
    class_token: bool = True
    img_size: int = Field(default=0, ge=0)
    num_classes: int = Field(default=0, ge=0)
    in_chans: int = 3
    norm_eps: float = 1e-6

    @model_validator(mode="after")
    def _divisible(self) -> Self:
        if self.embed_dim % self.num_heads:
            raise ValueError(f"embed_dim {self.embed_dim} is not a multiple of num_heads {self.num_heads}")
        if self.img_size % self.patch_size:
            raise ValueError(f"img_size {self.img_size} is not a multiple of patch_size {self.patch_size}")
        return self

    @property
    def head_dim(self) -> int:
        return self.embed_dim // self.num_heads

    @property
    def mlp_dim(self) -> int:
        return int(self.embed_dim * self.mlp_ratio)

    @property
    def num_tokens(self) -> int:
        """Patches, and the class token where there is one."""
        return (self.img_size // self.patch_size) ** 2 + int(self.class_token)


class TimmModel(Frozen):
    """Any timm classifier, by its name: a teacher. `img_size` and `num_classes` come from the data set."""

    name: str = Field(description="as in timm.create_model, with the tag of the weights where they are pretrained")
    options: dict[str, Any] = Field(default={}, description="further arguments of timm.create_model")
    pretrained: str | None = Field(default=None, description="'hub', or a file with the weights; then not trained here")
    num_classes: int = Field(default=0, ge=0)
    in_chans: int = 3


Kind = Literal["tleg", "share"]
BASIS_DEPTH: dict[Kind, int] = {"tleg": 2, "share": 1}
"""The layers that a learngene stores: theta_B and theta_A, or one that all share."""


def basis_config(auxiliary: ModelConfig, kind: Kind) -> ModelConfig:
    """A learngene's own architecture: the auxiliary net's, at the depth of what is stored."""
    return auxiliary.model_copy(update={"depth": BASIS_DEPTH[kind]})
