"""One calibration from end to end: the servers, the rounds, and what was seen.

Decides which servers there are, on which core they and the crowd run, how fast each load is played, and in which order.
Rule: every load is bounded in number and time, and short: a machine that others use changes its speed from one moment
to the next, so that many short rounds tell more than few long ones. A round plays all loads once, in an order drawn by
lot, and the next one plays them backwards; meanwhile each server looks over and over again how fast it is. The first
pass is thrown away. Half of the rounds keep the server a fifth busy in the mean, the others a third, and up to six
tenths: what it does at more is predicted.
What follows from it is left to the analysis.
"""

from __future__ import annotations

import contextlib
import resource
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import msgspec
import numpy as np
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from chatsim.live.calibration.churn import churn
from chatsim.live.calibration.crowd import OPS_MIN, Crowd, DisturbedError
from chatsim.live.calibration.disk import commits_s
from chatsim.live.calibration.filler import never_idle
from chatsim.live.calibration.line import Address
from chatsim.live.calibration.loads import BY_NAME, CONFIGS, DOORS, LOADS, Load, Server
from chatsim.live.calibration.meters import Meter
from chatsim.live.calibration.seen import Measured, Seen
from chatsim.live.calibration.watched import read as read_collections
from chatsim.live.cores import cores, held_to
from chatsim.live.node import PROGRAM, Node
from chatsim.live.notes import read as read_notes
from chatsim.live.sentinel import sentinels, stolen
from chatsim.live.speed import Glance
from chatsim.live.tls import Files, client_context, self_signed
from chatsim.verdict.stalls import Stalls

LEVELS: Final = (0.3, 0.7)
"""How busy the loads would keep the server, by turns, if none had to be slower for another reason. Seen are a fifth and
a third in the mean; what it can do at more is to be predicted, and not calibrated on."""

REMEMBERED: Final[tuple[Server, ...]] = ("plain", "tls")
"""Servers whose memory by connection is looked at."""

SPARED, DESCRIPTORS_MAX = 700, 100_000
"""Descriptors for everything but silent connections, and as many as are ever looked for."""

WATCHED = (sys.executable, "-m", "chatsim.live.calibration.watched")


class Effort(NamedTuple):
    """How much is measured: rounds, seconds of a load, operations of each before it counts, connections whose memory is
    looked at (in chunks), messages for the collector, commits of the reference in each round."""

    rounds: int
    load_s: float
    warm_ops: int
    idle: int
    chunks: int
    churn: int
    commits: int


FULL: Final = Effort(rounds=44, load_s=0.05, warm_ops=20, idle=200, chunks=5, churn=40_000, commits=30)
QUICK: Final = Effort(rounds=5, load_s=0.03, warm_ops=6, idle=25, chunks=4, churn=10_000, commits=30)

WITNESS: Final[Server] = "plain"
"""The server whose speed tells how the machine's wavers: it is looked at all along."""

WARM_GAP_S: Final = 0.002
"""How far apart the first operations of a load are, of which nobody knows yet what they cost (s)."""

CHURN_STEP: Final = 200
"""After so many messages it is looked whether the collector has run."""

PLAYS_MAX: Final = 3
"""How often a load is played until it is undisturbed."""

ORDER_SEED: Final = 5
"""Of the lots by which a round's order is drawn."""

Progress = Callable[[float], None]
"""Told the share that is done, from 0 to 1."""


class Paced(NamedTuple):
    """What an operation of these loads, which are played by turns, costs the server, as far as is known (s)."""

    loads: tuple[Load, ...]
    cost_s: float

    @property
    def load(self) -> Load:
        """The first of them."""
        return self.loads[0]

    def at(self, level: float, load_s: float) -> tuple[int, float]:
        """How many operations, and how far apart (s), keep the server so busy for so long."""
        gap_s = max(self.load.gap_s, self.cost_s / level)
        ops = min(max(OPS_MIN, int(load_s / gap_s)), self.load.ops_max)
        return ops + ops % 2, gap_s


def measure(effort: Effort, data: Path, *, journal: bool, progress: Progress | None = None) -> Measured:
    """Start the servers, play every load, and end them; `data` is where the log that lasts is (a new folder inside it).

    `journal` has the servers write a journal, as those of live runs do. Raises HarnessError where that fails.
    """
    told = progress or (lambda share: None)
    pair = cores()
    found = Measured(pinned=pair is not None)
    server_core, crowd_core = pair or (None, None)
    with (
        tempfile.TemporaryDirectory(prefix=".chatsim-calibrate-", dir=data) as name,
        _descriptors() as most,
        contextlib.ExitStack() as stack,
    ):
        idle = max(1, min(effort.idle, (most - SPARED) // effort.chunks))
        home = Home(Path(name), server_core, journal=journal)
        kinds = [server for server in CONFIGS if server != "collecting"]
        crowds: dict[Server, Crowd] = {server: stack.enter_context(home.crowd(server)) for server in kinds}
        # They keep a core from falling asleep for long, and keep watch over live runs too.
        stack.enter_context(sentinels(pair or (), home.folder))
        stack.enter_context(never_idle(crowd_core))
        stack.enter_context(held_to(crowd_core))
        for server in REMEMBERED:
            found.memory[server] = crowds[server].grown(idle, effort.chunks)
        began_at = time.monotonic()
        paces = [paced(crowds[loads[0].server], loads, effort.warm_ops) for loads in together(LOADS)]
        for number, order in enumerate(orders(len(paces), effort.rounds)):
            level = LEVELS[number // 2 % len(LEVELS)]
            with held_to(server_core):
                found.commits_s += commits_s(data, effort.commits)
            found.rounds.append(_round(home, crowds, [paces[place] for place in order], level, effort.load_s))
            told((number + 1) / (effort.rounds + 1))
        with home.crowd("collecting") as crowd:
            # From its first message on: a collector counts what is made, and looks at more every few times.
            before, since = len(read_collections(home.collections)), len(home.glances("collecting"))
            while found.churned < effort.churn:
                found.churned += churn(crowd, CHURN_STEP)
                found.collections = read_collections(home.collections)[before:]
                found.collected_at += [found.churned] * (len(found.collections) - len(found.collected_at))
            found.collecting_s = fmean(one.took_s for one in home.glances("collecting")[since:])
        taken, lasted_s = Stalls(stolen(home.folder)), time.monotonic() - began_at
        glances: dict[Server, list[Glance]] = {server: home.glances(server) for server in kinds}
    found.rounds = [
        {name: seen.beside(glances[BY_NAME[name].server]) for name, seen in one.items()} for one in found.rounds
    ]
    found.reference_s = [seen.reference_s for one in found.rounds for seen in one.values()]
    found.stolen_share = taken.total_s / lasted_s
    found.series_s = [one.took_s for one in glances[WITNESS]]
    found.series_every_s = (glances[WITNESS][-1].at - glances[WITNESS][0].at) / max(1, len(glances[WITNESS]) - 1)
    told(1.0)
    return found


@contextlib.contextmanager
def _descriptors() -> Iterator[int]:
    """How many descriptors this process may have open meanwhile: all that it is granted."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Some systems grant no end of them and then refuse the number: what was good enough before has to be then.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    now = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    try:
        yield DESCRIPTORS_MAX if now == resource.RLIM_INFINITY else now
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def together(loads: Sequence[Load]) -> list[tuple[Load, ...]]:
    """The loads, those in one tuple that are played by turns: all handshakes at one of the `DOORS`."""
    alone = [(load,) for load in loads if not _is_door(load)]
    return alone + [tuple(load for load in loads if _is_door(load) and load.server == server) for server in DOORS]


def _is_door(load: Load) -> bool:
    return load.say in ("refused", "let in") and load.server in DOORS


def orders(count: int, rounds: int) -> Iterator[list[int]]:
    """The order of so many things in each round: drawn by lot, and backwards in the round after that."""
    lots = np.random.default_rng(ORDER_SEED)
    order: list[int] = []
    for number in range(rounds):
        order = order[::-1] if number % 2 else lots.permutation(count).tolist()
        yield order


def paced(crowd: Crowd, loads: tuple[Load, ...], ops: int) -> Paced:
    """Play the loads a little and slowly, and then as fast as they will be: who takes part comes, caches fill, and the
    second says what it costs, which is less where one operation follows another soon."""
    slow = Paced(loads, _cost_s(play(crowd, loads, ops, max(loads[0].gap_s, WARM_GAP_S))))
    return Paced(loads, _cost_s(play(crowd, loads, ops, slow.at(LEVELS[-1], 0.0)[1])))


def _cost_s(seen: Sequence[Seen]) -> float:
    done = sum(one.ops for one in seen)
    return sum(one.cpu_s for one in seen) / done if done else 0.0


def play(crowd: Crowd, loads: tuple[Load, ...], ops: int, gap_s: float) -> list[Seen]:
    """The loads, once more where they were disturbed: a machine that stops for a moment is no reason to begin again."""
    for _ in range(PLAYS_MAX - 1):
        with contextlib.suppress(DisturbedError):
            return _played(crowd, loads, ops, gap_s)
    return _played(crowd, loads, ops, gap_s)


def _played(crowd: Crowd, loads: tuple[Load, ...], ops: int, gap_s: float) -> list[Seen]:
    return crowd.doors(loads, ops, gap_s) if len(loads) > 1 else [crowd.play(loads[0], ops, gap_s)]


def _round(
    home: Home, crowds: dict[Server, Crowd], paces: Sequence[Paced], level: float, load_s: float
) -> dict[str, Seen]:
    """Every load once."""
    seen: dict[str, Seen] = {}
    for pace in paces:
        ops, gap_s = pace.at(level, load_s)
        with home.alone(pace.load.server):
            shown = play(crowds[pace.load.server], pace.loads, ops, gap_s)
        for load, one in zip(pace.loads, shown, strict=True):
            seen[load.name] = msgspec.structs.replace(one, level=level)
    return seen


class Home:
    """Where the servers of one calibration keep their files, on which core they run, and whether they write journals
    and look out for stalls, as those of live runs do."""

    def __init__(self, folder: Path, core: int | None, *, journal: bool) -> None:
        self.folder = folder
        self.core = core
        self.journal = journal
        self.collections = folder / "collections"
        self._nodes: dict[Server, Node] = {}

    def glances(self, server: Server) -> list[Glance]:
        """How fast a server was, each time that it has looked."""
        return read_notes(self.folder / f"{server}.speed", Glance, "speed")

    @contextlib.contextmanager
    def alone(self, server: Server) -> Iterator[None]:
        """No other server disturbs this one's caches meanwhile, but for the one whose speed is looked at all along."""
        with contextlib.ExitStack() as stack:
            for kind, node in self._nodes.items():
                if kind not in (server, WITNESS):
                    stack.enter_context(node.paused())
            yield

    @contextlib.contextmanager
    def crowd(self, server: Server) -> Iterator[Crowd]:
        """A server of this kind, and the crowd that is to use it; both are gone afterwards."""
        algorithm = CONFIGS[server].algorithms[0]
        key = _private_key() if algorithm == "ES256" else secrets.token_urlsafe(48).encode()
        with contextlib.ExitStack() as stack:
            files = stack.enter_context(self_signed()) if server == "tls" else None
            with held_to(self.core, ahead=True):
                node = stack.enter_context(self._node(server, key, files))
            url = urlsplit(node.url)
            assert url.hostname is not None
            assert url.port is not None
            address = Address(url.hostname, url.port, None if files is None else client_context(files.cert))
            crowd = Crowd(address, Meter(node.pid), key, algorithm)
            stack.callback(crowd.close)
            self._nodes[server] = node
            yield crowd
            del self._nodes[server]
            node.check()
            # It has nothing to keep, and to be asked to go would take it seconds.
            node.kill()

    def _node(self, server: Server, key: bytes, files: Files | None) -> Node:
        data = None
        if server == "durable":
            data = self.folder / "data"
            data.mkdir()
        return Node(
            CONFIGS[server],
            secret=key,
            journal=self.folder / f"{server}.jsonl" if self.journal else None,
            stalls=self.folder / f"{server}.stalls" if self.journal else None,
            speed=self.folder / f"{server}.speed",
            log=self.folder / f"{server}.log",
            data=data,
            tls=files,
            program=(*WATCHED, f"{self.collections}") if server == "collecting" else PROGRAM,
        )


def _private_key() -> bytes:
    """A new private key for ES256, in PEM."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
