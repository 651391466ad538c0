"""Wall time of a study on several devices, one run on each: what the order of the runs allows, not hours / devices."""

from __future__ import annotations

import heapq
from collections.abc import Mapping

from regrow.study import Run


def wall_hours(runs: Mapping[str, Run], hours: Mapping[str, float], devices: int) -> float:
    """Hours until the last run ends when a free device takes the run that has most work behind it.

    A run waits for the one that it starts from. The time of packing, of evaluation on the CPU and of a queue is left
    out.

    Args:
        runs: of the study, parents first.
        hours: of every run, on one device.
        devices: how many there are.
    """
    behind = dict(hours)  # a run's own hours and those of the longest chain that waits for it
    children: dict[str, list[str]] = {key: [] for key in runs}
    for key, run in reversed(list(runs.items())):
        if run.config.init:
            children[run.config.init].append(key)
            behind[run.config.init] = max(behind[run.config.init], hours[run.config.init] + behind[key])
    ready = [(-behind[key], key) for key, run in runs.items() if not run.config.init]
    heapq.heapify(ready)
    running: list[tuple[float, str]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < devices:
            _, key = heapq.heappop(ready)
            heapq.heappush(running, (now + hours[key], key))
        now, done = heapq.heappop(running)
        for key in children[done]:
            heapq.heappush(ready, (-behind[key], key))
    return now
