"""The training losses of a run, read one step late, so that a GPU has its next step before the last is looked at."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from regrow.errors import UserError


class Diverged(UserError):
    """A loss that is not finite; `step` is the number of steps that were taken before."""

    def __init__(self, message: str, step: int) -> None:
        super().__init__(message)
        self.step = step


class Losses:
    """What each step's loss was. A loss that is not finite ends the run before anything of its step is kept."""

    def __init__(self, label: str) -> None:
        self.label = label
        self._last: _Loss | None = None

    def add(self, step: int, loss: Tensor) -> None:
        """The loss of a step that was just begun; the one before it is checked.

        Raises:
            Diverged: that one is not finite.
        """
        before, self._last = self._last, _Loss(step, loss)
        self._checked(before)

    def last(self) -> float | None:
        """The loss of the latest step, waited for; None before the first.

        Raises:
            Diverged: it is not finite.
        """
        return self._checked(self._last)

    def _checked(self, loss: _Loss | None) -> float | None:
        if loss is None:
            return None
        value = loss.value()
        if not math.isfinite(value):
            raise Diverged(
                f"{self.label}: the loss is {value} at step {loss.step}; no step was taken. Lower lr or raise warmup",
                loss.step,
            )
        return value


class _Loss:
    """A scalar on its way from the device; to read it is to wait for it and for nothing that was begun later."""

    def __init__(self, step: int, loss: Tensor) -> None:
        self.step = step
        self._held = loss.to("cpu", non_blocking=True)
        self._arrived = torch.cuda.Event() if loss.is_cuda else None
        if self._arrived:
            self._arrived.record()

    def value(self) -> float:
        if self._arrived:
            self._arrived.synchronize()
        return self._held.item()
