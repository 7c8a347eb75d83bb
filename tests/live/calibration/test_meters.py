"""Meters read this very process, which knows what it has done."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from chatsim.errors import HarnessError
from chatsim.live.calibration.meters import PACKAGES, Meter, machine, versions


def test_cpu_time_is_that_of_the_process() -> None:
    meter = Meter(os.getpid())
    before, own = meter.cpu_s(), time.process_time()
    while time.process_time() < own + 0.02:
        pass
    spent = meter.cpu_s() - before
    assert 0.02 <= spent <= time.process_time() - own + 0.001


def test_sleeps_are_wake_ups_and_the_first_thread_has_its_own_clock() -> None:
    """The child lies down for a moment each time that it is told something."""
    code = (
        "import sys, time\nprint('here', flush=True)\n"
        "for line in sys.stdin:\n    time.sleep(0.0005)\n    print(line, end='', flush=True)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()
        meter = Meter(child.pid)
        wakes, loop_s = meter.wakes(), meter.loop_s()
        for _ in range(20):
            child.stdin.write("hey\n")
            child.stdin.flush()
            child.stdout.readline()
        assert meter.wakes() >= wakes + 20
        assert meter.loop_s() > loop_s
        assert meter.memory_bytes() > 1_000_000


def test_a_process_that_is_gone_is_told() -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    with pytest.raises(HarnessError, match="calibrate on Linux"):
        Meter(child.pid)


def test_the_machine_is_told_without_its_name() -> None:
    said = machine()
    assert said["cores"] == os.cpu_count()
    assert os.uname().nodename not in map(str, said.values())
    assert set(versions()) <= set(PACKAGES)
    assert "uvloop" in versions()
