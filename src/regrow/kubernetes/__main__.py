"""The commands of profiles/kubernetes."""

from __future__ import annotations

import sys
from pathlib import Path

from regrow.errors import UserError
from regrow.kubernetes.jobs import cancel, status, submit
from regrow.kubernetes.pod import hold

USAGE = "submit TEMPLATE JOBSCRIPT, status JOB, cancel JOB... or hold JOBSCRIPT"


def main(arguments: list[str]) -> int:
    """Run one command. Exit codes: 0 done, 2 the user's mistake or the cluster's refusal, else the jobscript's."""
    try:
        match arguments:
            case ["submit", template, jobscript]:
                print(submit(Path(template), Path(jobscript)))
            case ["status", job]:
                print(status(job))
            case ["cancel", *jobs]:
                cancel(jobs)
            case ["hold", jobscript]:
                return hold(Path(jobscript))
            case _:
                raise UserError(f"expected {USAGE}; got {' '.join(arguments) or 'nothing'}")
    except UserError as error:
        print(f"regrow: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
