"""How fast a device is: as its maker says and a share of that, as the user says, or as records have measured.

Speeds are FLOPs a second by stage, or of `all` stages together; empty: not known.
"""

from __future__ import annotations

import difflib
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from regrow.errors import UserError
from regrow.plan.fact import spent

ALL = "all"
"""In place of a stage: all of them together."""
Speeds = Mapping[str, float]

PEAKS = {"h100": 989e12, "h200": 989e12, "a100": 312e12, "l40s": 362e12}
"""FLOPs a second in bf16 with float32 sums, by the maker's data sheet, dense; of the H100 and H200 in SXM form."""
SHARE = 0.35
"""Of the peak, assumed until measured: the aim on an H100 is 0.45 for DeiT-B and 0.35 for DeiT-S."""


def at(speeds: Speeds, stage: str) -> float:
    """FLOPs a second of a stage; NaN: not known."""
    return speeds.get(stage, speeds.get(ALL, math.nan))


def of_gpu(name: str, share: float) -> Speeds:
    """A share of the published peak.

    Raises:
        UserError: a GPU without a peak here, or a share that is not above 0 and at most 1.
    """
    if name not in PEAKS:
        near = difflib.get_close_matches(name, PEAKS, n=1, cutoff=0.0)[0]
        raise UserError(
            f"--gpu: expected one of {', '.join(PEAKS)}, got {name!r}; did you mean {near!r}? Of another GPU give the "
            "TFLOPS: --throughput"
        )
    if not 0 < share <= 1:
        raise UserError(f"--share: expected a share of the peak above 0 and at most 1, got {share:g}")
    return {ALL: share * PEAKS[name]}


def of_tflops(tflops: float) -> Speeds:
    """What the user says.

    Raises:
        UserError: a throughput that is not above 0.
    """
    if not 0 < tflops < math.inf:
        raise UserError(f"--throughput: expected TFLOPS above 0, got {tflops:g}")
    return {ALL: 1e12 * tflops}


def of_folders(folders: Iterable[Path]) -> Speeds:
    """What the records in some folders of results have measured.

    Raises:
        UserError: a folder without a record of any training.
    """
    found = {folder: [path.parent for path in folder.glob("records/*/*/summary.json")] for folder in folders}
    if empty := [folder for folder, records in found.items() if not of_records(records)]:
        raise UserError(f"{empty[0]}: no records of any training in it; name a results/<tier>, or give --throughput")
    return of_records(record for records in found.values() for record in records)


def of_records(records: Iterable[Path]) -> Speeds:
    """Over some folders records/<stage>/<run>."""
    flops: Counter[str] = Counter()
    seconds: dict[str, float] = {}
    for folder in sorted(records):
        one = spent(folder)
        for stage in (folder.parent.name, ALL):
            flops[stage] += one.flops
            seconds[stage] = seconds.get(stage, 0.0) + one.seconds
    return {stage: flops[stage] / seconds[stage] for stage in flops if flops[stage] and seconds[stage]}
