"""What can be read of a server from outside: CPU time to the nanosecond, sleeps, memory; and what machine this is.

Decides where each number comes from. Rule: a reading disturbs nobody and is never a guess: where the system does not
tell it, that is said.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from chatsim.errors import HarnessError

PACKAGES = ("uvloop", "msgspec", "websockets", "uvicorn", "pyjwt", "cryptography", "numpy", "scipy")
"""Whose versions decide what things cost, or how they were reckoned."""

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


def stolen_s(cores: Iterable[int], stat: Path = Path("/proc/stat")) -> float:
    """For how long these cores of a guest would have run and the host ran somebody else so far (s), all together
    (`steal` of proc(5)); 0 where the system does not tell."""
    names = {f"cpu{core}" for core in cores}
    try:
        rows = [line.split() for line in stat.read_text(encoding="ascii").splitlines()]
    except OSError:
        return 0.0
    return sum(int(row[8]) for row in rows if row and row[0] in names and len(row) > 8) / os.sysconf("SC_CLK_TCK")


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
