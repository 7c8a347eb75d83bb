"""What can be read of a server from outside: CPU time to the nanosecond, sleeps, memory; and what machine this is.

Decides where each number comes from. Rule: a reading disturbs nobody and is never a guess: where the system does not
tell it, that is said.
"""

from __future__ import annotations

import os
import platform
import time
from importlib import metadata
from pathlib import Path

from chatsim.errors import HarnessError

PACKAGES = ("uvloop", "msgspec", "websockets", "uvicorn", "pyjwt", "cryptography", "numpy", "scipy")
"""Whose versions decide what things cost, or how they were reckoned."""

CLOCK_STEP_S = 0.001
"""The resolution of a server's clock and timers: libuv, which uvloop runs on, counts whole milliseconds (`uv_now` and
`uv_timer_start` in docs.libuv.org)."""

_NO_PROC = (
    "This system does not tell what another process has used (clock_gettime of its CPU clock, and /proc): "
    "calibrate on Linux."
)


class Meter:
    """Reads one process. Raises HarnessError where the system does not tell, or the process is gone."""

    def __init__(self, pid: int) -> None:
        self._clock = (~pid << 3) | 2
        self._thread = Path(f"/proc/{pid}/task/{pid}")
        self._memory = Path(f"/proc/{pid}/statm")
        self.cpu_s()
        self.loop_s()
        self.wakes()

    def cpu_s(self) -> float:
        """CPU time of all its threads so far (s). Linux makes the clock's number out of the process's
        (clock_getcpuclockid(3))."""
        try:
            return time.clock_gettime(self._clock)
        except OSError as problem:
            raise HarnessError(_NO_PROC) from problem

    def loop_s(self) -> float:
        """CPU time of its first thread, which turns the event loop (s): the first field of schedstat, in ns."""
        return int(self._read(self._thread / "schedstat").split()[0]) * 1e-9

    def wakes(self) -> int:
        """How often its first thread has slept of its own accord, and so was woken."""
        for line in self._read(self._thread / "status").splitlines():
            if line.startswith("voluntary_ctxt_switches:"):
                return int(line.split()[1])
        raise HarnessError(_NO_PROC)

    def memory_bytes(self) -> int:
        """Its resident memory."""
        return int(self._read(self._memory).split()[1]) * os.sysconf("SC_PAGE_SIZE")

    @staticmethod
    def _read(path: Path) -> str:
        try:
            return path.read_text()
        except OSError as problem:
            raise HarnessError(_NO_PROC) from problem


def machine() -> dict[str, str | int]:
    """What this machine is, without its name."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count() or 1,
        "architecture": platform.machine(),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def versions() -> dict[str, str]:
    """Versions of the packages that matter, as they are installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == "model name" and value.strip():
            return value.strip()
    return platform.processor() or "unknown"
