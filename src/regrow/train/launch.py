"""Start a function in several processes on this machine: `torchrun --standalone`, called from Python.

A process that dies takes the others down and all start again, from the last checkpoint where they have one.
"""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable

from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from regrow.errors import UserError

RESTARTS = 3
"""How often all processes are started again after one died."""


def launch(processes: int, function: Callable[..., None], *arguments: object) -> int:
    """Call a module's function in every process; returns the exit code, 2 for the user's mistake.

    SIGTERM and SIGINT are passed on to the processes; they have 30 seconds to save their state.

    Raises:
        UserError: processes died more than `RESTARTS` times.
        SystemExit: 128 + n, stopped by signal n.
    """
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=str(uuid.uuid4()),
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=RESTARTS,
    )
    os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"  # else a restart may read the addresses of the dead
    try:
        codes = elastic_launch(config, _worker)(function, *arguments)
    except SignalException as stopped:
        raise SystemExit(128 + stopped.sigval) from None
    except ChildFailedError as error:
        number, failure = error.get_first_failure()
        raise UserError(
            f"process {number} of {processes} died with exit code {failure.exitcode} after {RESTARTS} restarts; its "
            "message is above, and the last checkpoint is kept"
        ) from error
    return int(max(codes.values()))


def _worker(function: Callable[..., None], *arguments: object) -> int:
    """A mistake of the user's is told, not raised: another start would not mend it."""
    try:
        function(*arguments)
    except UserError as error:
        print(f"regrow: error: {error}", file=sys.stderr)
        return 2
    return 0
