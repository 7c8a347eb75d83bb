"""The bench: `python -m tests.bench [NAME ...]`. Prints ratios, each of A and B measured in turn in one run, medians
of 5.

Absolute figures belong to the machine that is named on the first line; machines drift by up to 2x, the ratios travel.
"""

from __future__ import annotations

import gc
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import simpy

from chatsim.sim.engine import Engine
from chatsim.sim.event_loop import EventLoop
from tests.bench import live
from tests.bench.capacity import crossing
from tests.bench.flowing import flowing
from tests.bench.linting import linting
from tests.bench.naive import NaiveChat, Process
from tests.bench.sweeping import sweeping
from tests.bench.worlds import World

PAIRS = int(os.environ.get("CHATSIM_BENCH_PAIRS", "5"))
COMPILED = Path("build") / "compiled"
USERS, SIZE, RATE_PER_S, DURATION_S = 10_000, 5, 1 / 60, 600.0


def _timed(work: Callable[[], object]) -> float:
    gc.collect()
    started_at = time.perf_counter()
    work()
    return time.perf_counter() - started_at


def _paired(a: Callable[[], object], b: Callable[[], object]) -> tuple[float, float, float]:
    """Medians of A's and B's seconds, and of B/A, taken in turn."""
    pairs = [(_timed(a), _timed(b)) for _ in range(PAIRS)]
    return (
        statistics.median(x for x, _ in pairs),
        statistics.median(y for _, y in pairs),
        statistics.median(y / x for x, y in pairs),
    )


def _peak_mib() -> float:
    """The most that this process has had in memory so far (the high-water mark of /proc, since that of `getrusage`
    begins with the parent's)."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def chat() -> None:
    """10,000 users through the full handler against naive SimPy, sim seconds per wall second."""

    def ours() -> None:
        world = World(USERS, SIZE, arrive_over_s=10.0)
        world.talk(RATE_PER_S, 10.0, DURATION_S)
        world.engine.run(DURATION_S + 10.0)
        ledger = world.handler.ledger
        assert ledger.delivered == ledger.owed > 300_000, "every delivery is acked"

    def naive() -> None:
        model = NaiveChat(USERS, SIZE, RATE_PER_S, DURATION_S, 1)
        model.run()
        assert model.delivered > 300_000

    # What numpy and others import when they are first used is no growth of ours.
    World(10, SIZE, arrive_over_s=1.0).engine.run(2.0)
    before = _peak_mib()
    ours()
    grown_mib = _peak_mib() - before
    mine, theirs, ratio = _paired(ours, naive)
    print(
        f"chat: {DURATION_S / mine:.0f} simulated s per wall s, "
        f"naive SimPy {DURATION_S / theirs:.0f}: {ratio:.1f}x (wanted 5x)"
    )
    print(f"chat: memory growth over the imports {grown_mib:.0f} MiB (wanted under 100)")


def queue() -> None:
    """M/M/1 at 0.7 through the engine against SimPy's Resource."""
    from random import Random

    count = 100_000

    def ours() -> None:
        dice, engine, loop = Random(1), Engine(), EventLoop()
        waits = []

        def arrive(now: float, left: int, _: object) -> None:
            start_at = loop.start(now)
            waits.append(start_at - now)
            loop.end(start_at, dice.expovariate(1.0))
            if left:
                engine.at(now + dice.expovariate(0.7), arrive, left - 1)

        engine.at(0.0, arrive, count)
        engine.run(1e9)

    def theirs() -> None:
        dice, env = Random(1), simpy.Environment()
        server = simpy.Resource(env)
        waits = []

        def customer() -> Process:
            came_at = env.now
            with server.request() as request:
                yield request
                waits.append(env.now - came_at)
                yield env.timeout(dice.expovariate(1.0))

        def source() -> Process:
            for _ in range(count):
                env.process(customer())
                yield env.timeout(dice.expovariate(0.7))

        env.process(source())
        env.run()

    mine, other, ratio = _paired(ours, theirs)
    print(
        f"queue: {mine / count * 1e6:.2f} us a customer, "
        f"SimPy Resource {other / count * 1e6:.2f}: {ratio:.1f}x (wanted 4x)"
    )


def quiet() -> None:
    """100,000 quiet connections for an hour of pings."""
    world = World(100_000, 1, arrive_over_s=60.0)
    took_s = _timed(lambda: world.engine.run(3600.0))
    print(
        f"quiet: 100,000 connections, 3600 s, {world.handler.counters.pings:,} pings "
        f"in {took_s:.1f} s (wanted under 60)"
    )


def compiled() -> None:
    """The three above with the package that `make compiled` makes, in a process of its own."""
    if not (COMPILED / ".made").exists():
        print("compiled: not made (make compiled; it wants a C compiler)")
        return
    command = [sys.executable, "-m", "tests.bench", "chat", "queue", "quiet"]
    done = subprocess.run(command, cwd=COMPILED, capture_output=True, text=True, check=True)
    for line in done.stdout.splitlines()[1:]:
        print(f"compiled {line}")


BENCHES: dict[str, Callable[[], None]] = {
    "chat": chat,
    "queue": queue,
    "quiet": quiet,
    "compiled": compiled,
    "flow": lambda: flowing(min(PAIRS, 3)),
    "lint": lambda: linting(PAIRS),
    "sweep": lambda: sweeping(min(PAIRS, 2)),
    "rooms": lambda: live.rooms(PAIRS),
    "outstanding": lambda: live.outstanding(PAIRS),
    "thousand": lambda: live.thousand(PAIRS),
    "paced": lambda: live.paced(PAIRS),
    "stopped": lambda: live.stopped(PAIRS),
    "durable": lambda: live.durable(PAIRS),
    "herd": lambda: live.come_back(PAIRS),
    "idle": lambda: live.idle(PAIRS),
    "handshakes": lambda: live.handshakes(PAIRS),
    "capacity": crossing,
}


def main(names: list[str]) -> int:
    """Run the named benches, or all."""
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        print(f"no such bench: {unknown[0]}; known: {' '.join(BENCHES)}", file=sys.stderr)
        return 3
    print(
        f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}"
    )
    for name in names or BENCHES:
        BENCHES[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
