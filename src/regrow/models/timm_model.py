"""A teacher: any timm classifier, built fresh or with pretrained weights from the hub or from a file."""

from __future__ import annotations

from collections.abc import Mapping

import timm
import torch
from timm.data.config import resolve_model_data_config
from torch import Tensor, nn

from regrow.config import TimmModel
from regrow.errors import UserError


def build_timm(config: TimmModel, *, seed: int = 0, weights: Mapping[str, Tensor] | None = None) -> nn.Module:
    """The timm model: with `weights` where they are given, else pretrained or fresh as the config says.

    Fresh weights depend on the seed alone; the global generator is left as it was.

    Raises:
        UserError: timm has no such model, takes no such options, or the pretrained weights are not to be had.
    """
    pretrained = config.pretrained if weights is None else None
    arguments = {**config.options, "num_classes": config.num_classes, "in_chans": config.in_chans}
    if pretrained is not None:  # with its own number of classes timm would put a fresh head on the weights
        file = {} if pretrained == "hub" else {"file": pretrained}
        arguments["pretrained_cfg_overlay"] = {"num_classes": config.num_classes, **file}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            model: nn.Module = timm.create_model(config.name, pretrained=pretrained is not None, **arguments)
        except OSError as error:
            raise UserError(
                f"learngene.teacher.model.pretrained: no weights of {config.name} from {pretrained!r} ({error}); give "
                "the path of a file that holds them, or 'hub' on a machine that reaches timm's hub"
            ) from error
        except (RuntimeError, TypeError, ValueError) as error:
            raise UserError(f"learngene.teacher.model: timm: {config.name} with {arguments}: {error}") from error
    if weights is not None:
        model.load_state_dict(dict(weights))
    return model


def expect(model: nn.Module, config: TimmModel, mean: Tensor, std: Tensor) -> nn.Module:
    """Let a pretrained model see images as it was trained, though they come normalised by `mean` and `std`."""
    if config.pretrained is None:
        return model
    known = resolve_model_data_config(model)  # type: ignore[no-untyped-call]
    own_mean, own_std = (torch.tensor(known[name]).view(-1, 1, 1).to(mean) for name in ("mean", "std"))
    model.register_forward_pre_hook(lambda module, images: ((images[0] * std + mean - own_mean) / own_std,))
    return model
