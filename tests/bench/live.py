"""The live part of the bench: the full chat server against a bare broadcast server, in turn, on a core of their own.

Decides what is compared and how a figure is printed. Rule: the server is the command that people run, with its acks,
ids, limits and timers; only the limits are raised so that they do not bind. Server and crowd are processes of their
own,
each on its own core where there are two; ratios are those of neighbours in time.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from chatsim.core.config import HandlerConfig
from chatsim.errors import HarnessError
from chatsim.live.node import config_words
from chatsim.live.sqlite_log import FILE
from tests.bench import herd
from tests.bench.counting import Figures, Spec

CONNECTIONS = 1_000
WARM_S, MEASURE_S = 0.7, 2.5
START_S_MAX, CROWD_S_MAX = 30.0, 180.0
SECRET = "a secret of the bench, known to all"

RAISED = HandlerConfig(
    rate_limit=1_000_000,
    rate_window_s=1.0,
    frame_limit=1_000_000,
    frame_window_s=1.0,
    outbound_frames=1_000_000,
    outbound_bytes=1024**3,
    accept_rate_per_s=1_000_000.0,
    drain_window_s=1.0,
)

ROOMS = Spec(
    url="",
    pid=0,
    core=None,
    secret="",
    task="talk",
    connections=CONNECTIONS,
    room_size=10,
    speakers=10,
    outstanding=10,
    warm_s=WARM_S,
    measure_s=MEASURE_S,
)
OUTSTANDING = msgspec.structs.replace(ROOMS, speakers=1, outstanding=1)
THOUSAND = msgspec.structs.replace(ROOMS, room_size=CONNECTIONS, speakers=10, outstanding=100)
ALL_SPEAK = msgspec.structs.replace(THOUSAND, speakers=CONNECTIONS)
PACED_PER_S = 20_000
HELD = msgspec.structs.replace(
    RAISED, outbound_frames=HandlerConfig().outbound_frames, outbound_bytes=HandlerConfig().outbound_bytes
)
"""As raised as that, but for the limits that a slow reader meets."""
PACED = msgspec.structs.replace(ROOMS, outstanding=0, pace_per_s=PACED_PER_S / 9, measure_s=2 * MEASURE_S)
STOPPED_PER_S = 20
STOPPED = msgspec.structs.replace(
    THOUSAND,
    speakers=1,
    outstanding=0,
    pace_per_s=STOPPED_PER_S,
    # 1 MiB and what the kernel holds is full after some 7 s of it.
    body_bytes=8 * 1024,
    measure_s=10.0,
    stops=True,
)
IDLE_MAX, HERD_MAX = 10_000, 5_000
DESCRIPTORS_SPARED = 300
"""What server and crowd open beside those connections, at most: files, sockets, and those that come to warm up."""

IDLE = msgspec.structs.replace(ROOMS, task="idle", opening_s_max=150.0)
SENDERS = 200
DURABLE = msgspec.structs.replace(ROOMS, task="append", connections=SENDERS, room_size=1, speakers=1)
HANDSHAKES = msgspec.structs.replace(ROOMS, task="handshakes")


def _cores() -> tuple[int | None, int | None]:
    """The server's core and the crowd's; none where there is but one, which leaves it to the system."""
    cores = sorted(os.sched_getaffinity(0))
    return (cores[0], cores[1]) if len(cores) > 1 else (None, None)


@contextmanager
def _server(*command: str) -> Iterator[tuple[str, int]]:
    """A server process on its core: its URL and process id."""
    process = subprocess.Popen([sys.executable, "-m", *command], stdout=subprocess.PIPE, text=True)
    impatience = threading.Timer(START_S_MAX + CROWD_S_MAX, process.kill)
    impatience.start()
    try:
        core = _cores()[0]
        if core is not None:
            os.sched_setaffinity(process.pid, {core})
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.startswith("listening on "):
            raise HarnessError(f"The server said {line[:200]!r} instead of where it listens.")
        yield line.removeprefix("listening on ").strip(), process.pid
    finally:
        # It has nothing to keep, and draining a thousand connections would only make the bench wait.
        process.kill()
        process.wait()
        impatience.cancel()
        if process.stdout is not None:
            process.stdout.close()


@contextmanager
def _chatsim(*flags: str, config: HandlerConfig = RAISED, data: Path | None = None) -> Iterator[tuple[str, int]]:
    """The full server; what was said is in `data`, or in memory."""
    with tempfile.TemporaryDirectory(prefix="chatsim-bench-") as name:
        secret, words = Path(name) / "secret", Path(name) / "handler.yaml"
        secret.write_text(SECRET)
        words.write_bytes(msgspec.json.encode(config_words(config)))
        told = ["--secret-file", str(secret), "--config", str(words), *flags]
        told += ["--ephemeral"] if data is None else ["--data", str(data)]
        with _server("chatsim", "serve", "--port", "0", *told) as found:
            yield found


def _crowd(spec: Spec) -> Figures:
    """Run a crowd in a process of its own; raises HarnessError where it fails."""
    command = [sys.executable, "-m", "tests.bench.counting", msgspec.json.encode(spec).decode()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=CROWD_S_MAX, check=False)
    if done.returncode:
        raise HarnessError(f"The crowd failed: {done.stderr.strip().splitlines()[-1]}")
    return msgspec.json.decode(done.stdout, type=Figures)


def ours(spec: Spec, *flags: str, config: HandlerConfig = RAISED, data: Path | None = None) -> Figures:
    """The crowd against the full server."""
    with _chatsim(*flags, config=config, data=data) as (url, pid):
        return _crowd(msgspec.structs.replace(spec, url=url, pid=pid, core=_cores()[1], secret=SECRET))


def bare(spec: Spec) -> Figures:
    """The crowd against the broadcast server."""
    with _server("tests.bench.broadcast") as (url, pid):
        return _crowd(msgspec.structs.replace(spec, url=url, pid=pid, core=_cores()[1]))


def _per_s(seen: Figures) -> float:
    return seen.count / seen.wall_s


def _per_cpu_s(seen: Figures) -> float:
    return seen.count / seen.server_cpu_s


def _busy(seen: Figures) -> float:
    return seen.crowd_cpu_s / seen.wall_s


def _load(seen: Figures) -> float:
    return seen.server_cpu_s / seen.wall_s


def _reached_ms(seen: Figures) -> float:
    return seen.reached_s * 1e3


def _compare(name: str, spec: Spec, pairs: int, what: str, wanted: str) -> None:
    """One line: both ratios, the absolute figures, and how busy the crowd was (at 1 it was the bottleneck)."""
    seen = [(ours(spec), bare(spec)) for _ in range(pairs)]

    def middle(of: Callable[[Figures], float], side: int) -> float:
        return statistics.median(of(pair[side]) for pair in seen)

    def ratio(of: Callable[[Figures], float]) -> float:
        return statistics.median(of(a) / of(b) for a, b in seen)

    print(
        f"{name}: {ratio(_per_s):.2f}x in {what}/s ({middle(_per_s, 0):,.0f} to {middle(_per_s, 1):,.0f}), "
        f"{ratio(_per_cpu_s):.2f}x per server CPU s ({middle(_per_cpu_s, 0):,.0f} to {middle(_per_cpu_s, 1):,.0f}), "
        f"crowd busy {middle(_busy, 0):.0%} and {middle(_busy, 1):.0%} (wanted {wanted})",
        flush=True,
    )


def rooms(pairs: int) -> None:
    """Rooms of 10 in which everyone sends, one message of each outstanding."""
    _compare("rooms", ROOMS, pairs, "deliveries", "3x in deliveries/s")


def outstanding(pairs: int) -> None:
    """Rooms of 10 with one sender, who waits until a message has reached all."""
    _compare("outstanding", OUTSTANDING, pairs, "deliveries", "1x per server CPU s")


def thousand(pairs: int) -> None:
    """One room of 1,000, 100 messages outstanding: 10 speakers in turn, then everyone in turn.

    The second is another thing: each delivery is then a `delivered` notice to a sender of its own, in a frame of its
    own, where a few speakers have many messages told in one.
    """
    _compare("thousand, 10 speakers", THOUSAND, pairs, "deliveries", "10x per server CPU s")
    _compare("thousand, all speak", ALL_SPEAK, pairs, "deliveries", "10x per server CPU s")


def paced(pairs: int) -> None:
    """Rooms of 10, 20,000 deliveries a second to both servers, whose CPU time per delivery is compared."""
    seen = [(ours(PACED), bare(PACED)) for _ in range(pairs)]

    def middle(of: Callable[[Figures], float]) -> tuple[float, float]:
        return statistics.median(of(a) for a, _ in seen), statistics.median(of(b) for _, b in seen)

    came, load, reached = middle(_per_s), middle(_load), middle(_reached_ms)
    print(
        f"paced: {statistics.median(_per_cpu_s(b) / _per_cpu_s(a) for a, b in seen):.2f}x of the server's CPU s per "
        f"delivery ({load[0]:.0%} of a core for {came[0]:,.0f}/s to {load[1]:.0%} for {came[1]:,.0f}), "
        f"99 of 100 messages had reached all in {reached[0]:.1f} and {reached[1]:.1f} ms (wanted at most 1x)",
        flush=True,
    )


def handshakes(pairs: int) -> None:
    """1,000 upgrades, 64 at a time: with a token to check and a welcome to send, and with neither."""
    _compare("handshakes", HANDSHAKES, pairs, "handshakes", "1x, with the token check on one side only")


def stopped(pairs: int) -> None:
    """One room of 1,000 at a steady pace: one of them stops reading, and in the other run of each pair nobody does."""
    everyone = msgspec.structs.replace(STOPPED, stops=False)
    seen = [(ours(STOPPED, config=HELD), ours(everyone, config=HELD)) for _ in range(pairs)]

    def middle(of: Callable[[Figures, Figures], float]) -> float:
        return statistics.median(of(a, b) for a, b in seen)

    print(
        f"stopped: {middle(lambda a, b: a.delivered_s / b.delivered_s):.2f}x in the p99 of the others' deliveries "
        f"({middle(lambda a, b: a.delivered_s) * 1e3:.1f} to {middle(lambda a, b: b.delivered_s) * 1e3:.1f} ms), "
        f"{middle(lambda a, b: a.grown_bytes - b.grown_bytes) / 1024**2:.1f} MiB more "
        f"({middle(lambda a, b: a.grown_bytes) / 1024**2:.1f} to {middle(lambda a, b: b.grown_bytes) / 1024**2:.1f}), "
        f"crowd busy {middle(lambda a, b: _busy(a)):.0%} and {middle(lambda a, b: _busy(b)):.0%} "
        "(wanted 1x, under 2 MiB)",
        flush=True,
    )


def durable(pairs: int) -> None:
    """200 senders, each with 10 messages whose ack is out: committed to SQLite before the ack, and kept in memory."""
    seen = []
    for _ in range(pairs):
        with tempfile.TemporaryDirectory(prefix="chatsim-bench-data-") as name:
            lasting = ours(DURABLE, data=Path(name))
            # The server was killed: what it had acked is in the file all the same.
            with contextlib.closing(sqlite3.connect(Path(name) / FILE)) as database:
                (kept,) = database.execute("SELECT count(*) FROM messages").fetchone()
            if kept < lasting.count:
                raise HarnessError(f"{lasting.count} messages were acked and {kept} kept.")
        seen.append((lasting, ours(DURABLE)))
    per_s = [statistics.median(_per_s(pair[side]) for pair in seen) for side in (0, 1)]
    load = [statistics.median(_load(pair[side]) for pair in seen) for side in (0, 1)]
    print(
        f"durable: {statistics.median(_per_s(a) / _per_s(b) for a, b in seen):.2f}x in messages acked/s by "
        f"{SENDERS} senders, committed to SQLite first ({per_s[0]:,.0f}) to in memory ({per_s[1]:,.0f}), "
        f"server busy {load[0]:.0%} and {load[1]:.0%} of a core",
        flush=True,
    )


def _descriptors() -> int:
    """How many this process and its children may have open, all of which they may have from now on."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def come_back(runs: int) -> None:
    """5,000 clients who were told when to come back, and then dropped at once."""
    count = min(HERD_MAX, _descriptors() - DESCRIPTORS_SPARED)
    seen = [herd.come_back(count) for _ in range(runs)]
    shares = [herd.busiest(moments) for moments in seen]
    print(
        f"herd: of {count:,} clients told and dropped at once the busiest 100 ms took {statistics.median(shares):.1%}, "
        f"{max(shares):.1%} in the worst of {runs} runs; the last was back after "
        f"{statistics.median(map(max, seen)):.1f} s (wanted at most 3 %)",
        flush=True,
    )


def idle(pairs: int) -> None:
    """Resident memory of the server per joined and silent connection, in plain text and over TLS."""
    hard = _descriptors()
    count = min(IDLE_MAX, hard - DESCRIPTORS_SPARED)
    spec = msgspec.structs.replace(IDLE, connections=count)
    of = (
        f"{count:,} connections" if count == IDLE_MAX else f"{count:,} connections, as many as {hard:,} descriptors are"
    )
    for name, flags, wanted in (
        ("plain", (), "at most 20 KiB"),
        ("TLS", ("--tls-self-signed",), "far less than 287 KB"),
    ):
        kib = statistics.median(ours(spec, *flags).grown_bytes / count / 1024 for _ in range(pairs))
        print(f"idle: {kib:.1f} KiB per {name} connection, of {of} (wanted {wanted})", flush=True)
