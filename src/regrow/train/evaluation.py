"""Loss and accuracy of a model on a split."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from regrow.models.vit import unstack
from regrow.train import distributed
from regrow.train.batches import ImageTensors

EVAL_BATCH = 512


def evaluate(
    model: nn.Module, weights: Mapping[str, Tensor], images: ImageTensors, precision: str = "float32"
) -> tuple[float, float, Tensor]:
    """Mean cross-entropy, accuracy in percent, and the predicted class of every image [N].

    By `bfloat16` the model runs under autocast, as in DeiT's own evaluation; the loss is of float32 logits either way.
    Processes share the batches, which are those of one process: the same weights give the same bits.
    """
    model.eval()
    state = unstack(weights)
    losses, predicted = torch.zeros(len(images), device=images.labels.device), torch.zeros_like(images.labels)
    autocast = torch.autocast(images.labels.device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16")
    with torch.inference_mode(), autocast:
        for start in range(distributed.rank() * EVAL_BATCH, len(images), distributed.size() * EVAL_BATCH):
            part = slice(start, start + EVAL_BATCH)
            logits = functional_call(model, state, (images.pixels(part),)).float()
            losses[part] = cross_entropy(logits, images.labels[part], reduction="none")
            predicted[part] = logits.argmax(1)
    distributed.add(losses)
    distributed.add(predicted)
    accuracy = 100 * (predicted == images.labels).double().mean()
    return float(losses.double().mean()), float(accuracy), predicted
