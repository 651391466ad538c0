"""What a person sees of a run: a bar on a terminal, one line now and then in a log."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Reporter:
    """Reports a run's steps as `label  step 400/1500  minival 84.3 %  loss 0.46  1:02 left`."""

    def __init__(self, label: str, steps: int, start: int = 0, every: float = 15.0) -> None:
        self.label, self.steps, self.start, self.every = label, steps, start, every
        self.note = ""
        """The latest evaluation, as it is to be shown."""
        self.began = self.spoke = time.monotonic()
        self.bar: Progress | None = None
        if sys.stdout.isatty():
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
            )
            self.bar = Progress(*columns, TextColumn("{task.fields[note]}"))
            self.task = self.bar.add_task(label, total=steps, completed=start, note="")

    def __enter__(self) -> Self:
        if self.bar:
            self.bar.start()
        elif self.start:
            print(f"{self.label}  resumes at step {self.start}/{self.steps}", flush=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar:
            self.bar.stop()

    def update(self, step: int) -> None:
        """`step` steps are done; called every step, speaks seldom."""
        if self.bar:
            self.bar.update(self.task, completed=step, note=self.note)
            return
        now = time.monotonic()
        if now - self.spoke >= self.every or step == self.steps:
            left = (now - self.began) / max(1, step - self.start) * (self.steps - step)
            print(
                f"{self.label}  step {step}/{self.steps}  {self.note}  {int(left // 60)}:{int(left % 60):02d} left",
                flush=True,
            )
            self.spoke = now
