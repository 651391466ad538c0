"""The distillation loss against its formula, written out with probabilities in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from regrow.train.distill import distilled, soft_distillation

BATCH, CLASSES = 5, 7


def logits(seed: int) -> torch.Tensor:
    return 3 * torch.randn(BATCH, CLASSES, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def softmax(values: np.ndarray) -> np.ndarray:
    return np.exp(values) / np.exp(values).sum(1, keepdims=True)


@pytest.mark.parametrize("tau", [1.0, 4.0])
def test_soft_distillation_is_the_teachers_kl_over_images_and_classes(tau: float) -> None:
    student, teacher = logits(0), logits(1)
    p, q = softmax(teacher.numpy() / tau), softmax(student.numpy() / tau)
    expected = tau**2 * float((p * np.log(p / q)).sum()) / (BATCH * CLASSES)
    assert float(soft_distillation(student, teacher, tau)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("tau", [1.0, 4.0])
def test_its_gradient_is_the_difference_of_the_probabilities(tau: float) -> None:
    student, teacher = logits(0).requires_grad_(), logits(1)
    soft_distillation(student, teacher, tau).backward()
    found = softmax(student.detach().numpy() / tau) - softmax(teacher.numpy() / tau)
    np.testing.assert_allclose(student.grad, tau * found / (BATCH * CLASSES), rtol=0, atol=1e-14)


def test_alpha_weighs_the_distillation() -> None:
    base, soft = torch.tensor(2.0), torch.tensor(10.0)
    assert [float(distilled(base, soft, alpha)) for alpha in (0.0, 0.25, 1.0)] == [2.0, 4.0, 10.0]
