"""Every table that the records alone decide, without the machine's seconds."""

from __future__ import annotations

from dataclasses import replace

from regrow.report.conventions import conventions_table
from regrow.report.frames import Records
from regrow.report.growth import growth_table
from regrow.report.improvement import improvement_table
from regrow.report.learngene import learngene_tables
from regrow.report.operators import operators_table
from regrow.report.table import Table
from regrow.report.transfer import transfer_table


def record_tables(records: Records) -> list[Table]:
    """The tables in the report's order: those of the growth study, then those of the learngene's."""
    params = records.params
    tables = [growth_table(records), *([transfer_table(records)] if params.transfer_data else [])]
    tables += [operators_table(records), improvement_table(records), conventions_table(records)]
    return tables + (learngene_tables(records, params.learngene) if params.learngene else [])


def one_seed(records: Records, seed: int) -> Records:
    """The records of a study with that seed alone; the teacher, of which all seeds have one, stays."""
    params = records.params.model_copy(update={"seeds": (seed,)})
    runs, curves, machines = (
        frame[(frame["seed"] == seed) | (frame["stage"] == "teacher")]
        for frame in (records.runs, records.curves, records.machines)
    )
    return replace(records, params=params, runs=runs, curves=curves, machines=machines)
