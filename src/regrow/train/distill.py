"""Soft distillation (Hinton et al., 2015), as DeiT's and TLEG's public code compute it.

Shapes: logits [B, K] of B images and K classes.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import kl_div, log_softmax


def soft_distillation(student: Tensor, teacher: Tensor, tau: float) -> Tensor:
    """KL(softmax(teacher / tau) || softmax(student / tau)) * tau^2, summed and divided by B * K.

    The division by K too is DeiT's and TLEG's: 1 / K of the usual mean over images.
    """
    log_student, log_teacher = log_softmax(student / tau, dim=1), log_softmax(teacher / tau, dim=1)
    return kl_div(log_student, log_teacher, reduction="sum", log_target=True) * tau**2 / student.numel()


def distilled(base: Tensor, distillation: Tensor, alpha: float) -> Tensor:
    """(1 - alpha) * label loss + alpha * distillation loss. TLEG's auxiliary net has alpha 1: no label is seen."""
    return (1 - alpha) * base + alpha * distillation
