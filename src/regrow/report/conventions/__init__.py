"""How far the conventions of accounting alone move an arm's saving: every one in use, on one set of runs."""

from regrow.report.conventions.figure import CONVENTIONS, conventions_figure
from regrow.report.conventions.prose import conventions_parts
from regrow.report.conventions.table import conventions_table, seconds_conventions_table

__all__ = [
    "CONVENTIONS",
    "conventions_figure",
    "conventions_parts",
    "conventions_table",
    "seconds_conventions_table",
]
