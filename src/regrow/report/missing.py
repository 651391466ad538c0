"""What a report of a part of a tier leaves out: which runs are done, and which of them are in its tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

import pandas as pd

from regrow.config import STAGES
from regrow.report.frames import Records, Whole
from regrow.report.table import Table, setting
from regrow.study import runs

RULE = (
    "The tables below are of a smaller study, of which every run is done: the first seeds, as many as give the most "
    "runs; the arms that are trained with each of them; the transfer sets that all of these are transferred to; and "
    "likewise the arms and depths of the learngenes. “The others” and “the best” are those of the smaller study."
)
SHOWN = "in the\ntables"


def missing_parts(records: Records, whole: Whole) -> list[str]:
    """The section of REPORT.md: how much is done, what the tables are of, and what is not done, arm by arm."""
    return ["## What is missing", missing_words(records, whole), RULE, missing_table(records, whole).markdown()]


def missing_words(records: Records, whole: Whole) -> str:
    """How much is done and which seeds, arms, sets and depths are in the tables."""
    part, tier = records.params, whole.params
    found = [f"seeds {_some(part.seeds, tier.seeds)}", f"{len(part.arms)} of {len(tier.arms)} arms"]
    if tier.transfer_data:
        found.append(f"transfer to {_some(part.transfer_data, tier.transfer_data)}")
    if learngene := tier.learngene:
        own = part.learngene
        found.append(f"learngenes at depths {_some(own.depths if own else (), learngene.depths)}")
        found.append(f"{len(own.arms) if own else 0} of {len(learngene.arms)} of their arms")
        if learngene.transfer_depths and tier.transfer_data:
            transferred = own.transfer_depths if own else ()
            found.append(f"their transfer at depths {_some(transferred, learngene.transfer_depths)}")
    done = f"{len(whole.done)} of {len(runs(tier))} runs are done"
    return f"In part: {done}, and {len(records.runs)} of them are in the tables: {'; '.join(found)}."


def _some(part: Collection[object], whole: Collection[object]) -> str:
    """`0, 1 of 0, 1, 2`."""
    names, all_names = (", ".join(map(str, each)) for each in (part, whole))
    return f"{names or 'none'} of {all_names}" if len(part) < len(whole) else all_names


def missing_table(records: Records, whole: Whole) -> Table:
    """One row an arm or source that lacks runs, by the name that its runs have; a column a stage."""
    planned: Counter[tuple[str, str]] = Counter()
    done, shown = planned.copy(), Counter(records.runs["arm"])
    for key, run in runs(whole.params).items():
        planned[run.arm, run.stage] += 1
        done[run.arm, run.stage] += key in whole.done
    arms = dict.fromkeys(arm for (arm, stage), count in planned.items() if done[arm, stage] < count)
    stages = [stage for stage in STAGES if any(planned[arm, stage] for arm in arms)]
    cells = [
        {"Runs of": f"`{arm}`"}
        | {stage: f"{done[arm, stage]} of {planned[arm, stage]}" if planned[arm, stage] else "" for stage in stages}
        | {SHOWN: str(shown[arm])}
        for arm in arms
    ]
    complete = len({arm for arm, _ in planned}) - len(arms)
    caption = f"Missing. Runs that are done, of every arm and source that lacks any; {complete} more lack none."
    table = pd.DataFrame(cells)
    return Table(name="missing", caption=f"{caption} {setting(records.params)}", data=table, shown=table)
