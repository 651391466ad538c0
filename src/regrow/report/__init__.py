"""Tables, figures and REPORT.md, from the records alone. Nothing in here imports torch.

    write_report(params, Path("results/mini"))

A new table is one small file with a function `Records -> Table` and one line in `tables.py`.
"""

from regrow.report.committed import compare
from regrow.report.readme import update_readme
from regrow.report.write import write_report

__all__ = ["compare", "update_readme", "write_report"]
