"""The first process of a Job's pod."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from types import FrameType

PR_SET_CHILD_SUBREAPER = 36


def hold(jobscript: Path) -> int:
    """Run the jobscript; its exit code.

    A container's first process gets no signal that it does not ask for and hands none on. SIGTERM goes to every process
    of the job, and then the pod lasts until all of them have ended: the run, which saves its state, is not the first.
    """
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)  # who loses its parent is ours to wait for
    child = subprocess.Popen(["/bin/sh", str(jobscript)], start_new_session=True)
    stopped = False

    def pass_on(number: int, frame: FrameType | None) -> None:
        nonlocal stopped
        stopped = True
        with suppress(ProcessLookupError):
            os.killpg(child.pid, number)

    signal.signal(signal.SIGTERM, pass_on)
    code = 1
    with suppress(ChildProcessError):  # none is left
        while True:
            pid, ended = os.wait()
            if pid == child.pid:
                code = os.waitstatus_to_exitcode(ended)
                if not stopped:
                    break
    return code if code >= 0 else 128 - code
