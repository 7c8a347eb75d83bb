"""What each kind of work costs, out of the counters of a calibration.

Decides which loads are subtracted from which. Rule: a cost is a difference of two loads of one round, so that what they
share (reading, waking, the machine's mood) falls out; its value is the median over rounds, with a bootstrap interval;
what comes out as less than nothing is given as nothing, and said.
How the loads are played is `chatsim.live.calibration`'s affair, how numbers are fitted `fits`'.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isfinite, nan
from typing import Final

import msgspec
import numpy as np

from chatsim.analysis.fits import Line, Median, Shape, line_through, median_of, shape_of
from chatsim.errors import UsageError
from chatsim.live.calibration.loads import BURSTS, LISTENERS, MANY_LISTENERS, MANY_SESSIONS
from chatsim.live.calibration.seen import Measured, Seen

Round = Mapping[str, Seen]

LONE_SHARE_MIN: Final = 0.5
"""A cost has a shape of its own where it is at least this share of the load that it was seen in: else what is seen is
the shape of the rest."""

TOLD_APART_MIN: Final = 0.2
"""Wake-ups a frame by which two loads must differ, or what a wake-up costs cannot be told."""

LATE_SHARE_MAX: Final = 0.5
"""A crowd that is later than this share of a load's gap did not play it as it was meant."""

DRIFT_MAX: Final = 1.15
"""The reference may be so much slower at one time than at another, before that is said."""


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """One cost (s): its median over rounds with the interval, and the shape of its samples where they have one."""

    name: str
    says: str
    seen: Median
    shape: Shape | None = None

    @property
    def value(self) -> float:
        """The cost, never below 0 (s)."""
        return max(self.seen.value, 0.0)


class Costing(msgspec.Struct, kw_only=True):
    """Everything that was found. `costs` by name; `fits` are lines in s over recipients or records; `overhead` is the
    share of a processor that a silent server uses; `memory_bytes` by server and connection; `collections` is how often
    the collector ran for a stored message, `warnings` what is to be known of all this."""

    costs: dict[str, Cost]
    fits: dict[str, Line]
    points: dict[str, list[tuple[float, float]]]
    overhead: Median
    memory_bytes: dict[str, Median]
    collected: list[float]
    collected_share: float
    drift: float
    warnings: list[str]


class _Net:
    """What one operation of a load costs in one round, without what a silent server uses and without wake-ups."""

    def __init__(self, seen: Round, wake_s: float = 0.0) -> None:
        self._seen = seen
        self._wake_s = wake_s
        silence = seen["silence"]
        self.idle = silence.loop_s / silence.wall_s

    def all_s(self, load: str) -> float:
        """The loop's time for the whole load, wake-ups included (s)."""
        one = self._seen[load]
        return one.loop_s - self.idle * one.wall_s

    def op(self, load: str, wakes: float | None = None) -> float:
        """The loop's time for one operation (s); `wakes` is how many wake-ups each is relieved of (None: all)."""
        one = self._seen[load]
        woken = one.wakes if wakes is None else wakes * one.ops
        return (self.all_s(load) - self._wake_s * woken) / one.ops if one.ops else nan

    def presence(self, listeners: int, sessions: int = 1, server: str = "plain") -> float:
        """Of one change of presence (s)."""
        return self.op(f"presence {sessions}x{listeners} {server}")

    def owed(self, listeners: int) -> float:
        """What it costs to tell so many in one turn (s)."""
        return self.presence(listeners) - self.presence(0)

    def alone(self) -> float:
        """What it costs to tell one (s)."""
        return self.owed(1)

    def frame(self, load: str) -> float:
        """Of a frame that one frame answers, without the answer (s)."""
        return self.op(load) - self.alone()

    def recipient(self) -> float:
        """One frame more to who is written to anyway (s)."""
        many = self.presence(MANY_LISTENERS, MANY_SESSIONS) - self.presence(0, MANY_SESSIONS)
        return (many - self.owed(MANY_LISTENERS)) / (MANY_LISTENERS * (MANY_SESSIONS - 1))

    def batch(self) -> Line:
        """What a turn's writing costs, over the number of those written to (s)."""
        counts = [count for count in LISTENERS if count]
        return line_through(counts, [self.owed(count) for count in counts])

    def ack(self) -> float:
        """An ack that settles a message, without the notice that follows (s)."""
        acked = self._seen["acked"]
        notices = acked.heard / acked.ops - 2
        return self.op("acked") - self.op("told") - notices * self.alone()

    def over_tls(self, listeners: int) -> float:
        """What TLS adds to a change of presence (s)."""
        return self.presence(listeners, server="tls") - self.presence(listeners)

    def door(self, token: str, server: str = "plain") -> float:
        """One handshake, its wake-ups included (s)."""
        return self.op(f"door {token} {server}", 0.0)

    def ping(self) -> float:
        """A ping and its pong, with the pong's wake-up: the simulation has none for it (s)."""
        pings = self._seen["pings"]
        return self.op("pings", max(0, pings.wakes - pings.ops) / pings.ops if pings.ops else 0.0)

    def written(self) -> Line:
        """What a commit costs the log's thread, over the number of its records (s of CPU)."""
        loads = [("kept", 1), *((f"kept {count}", count) for count in BURSTS)]
        seen = [(count, self._seen[name]) for name, count in loads]
        return line_through([count for count, _ in seen], [(one.cpu_s - one.loop_s) / one.ops for _, one in seen])

    def committed(self) -> float:
        """How long a message alone waits for its commit (s, the mean): what its ack takes longer than from memory."""
        kept, said = self._seen["kept"].answered_s, self._seen["said"].answered_s
        return float(np.mean(kept) - np.mean(said)) if kept and said else nan


_COSTS: Final[tuple[tuple[str, str, Callable[[_Net], float]], ...]] = (
    ("frame", "read, parse and handle one message that is known already", lambda net: net.frame("again")),
    ("frame_ack", "one ack that settles a message", _Net.ack),
    ("frame_typing", "one typing frame that nobody hears of", lambda net: net.op("typing")),
    ("frame_presence", "one presence frame that nobody hears of", lambda net: net.presence(0)),
    ("frame_heartbeat", "one heartbeat, without its answer", lambda net: net.frame("heartbeat")),
    ("frame_status", "one join of a session that is joined already, without its answer", lambda net: net.frame("join")),
    ("alone", "tell one connection one frame: recipient, flush and write together", _Net.alone),
    ("recipient", "one frame more to a connection that is written to anyway", _Net.recipient),
    ("flush", "the first write of a turn: the fit's intercept", lambda net: net.batch().intercept),
    ("write", "each connection written to in a turn: the fit's slope less one recipient",
     lambda net: net.batch().slope - net.recipient()),
    ("append", "accept and store a message, log in memory", lambda net: net.op("said") - net.op("again")),
    ("append_durable", "accept a message, hand it to the log that lasts and hear of it: the loop's share",
     lambda net: net.op("kept") - net.op("again")),
    ("commit_record", "one record more in a commit: the log's thread", lambda net: net.written().slope),
    ("commit", "how long a commit of one record keeps its ack waiting",
     lambda net: net.committed() - max(net.written().slope, 0.0)),
    ("verify", "one token, HS256: an expired one at the door against none",
     lambda net: net.door("expired") - net.door("missing")),
    ("verify_es256", "one token, ES256: an expired one at the door against none",
     lambda net: net.door("expired", "es256") - net.door("missing", "es256")),
    ("handshake", "a handshake over plain text and its connection's end, without the token and the welcome",
     lambda net: net.op("door good plain", 2.0) - (net.door("expired") - net.door("missing")) - net.alone()),
    ("tls_handshake", "a full TLS handshake, beside the same over plain text",
     lambda net: net.door("missing", "tls") - net.door("missing")),
    ("tls_frame", "what TLS adds to reading one frame", lambda net: net.over_tls(0)),
    ("tls_write", "what TLS adds to one write",
     lambda net: (net.over_tls(MANY_LISTENERS) - net.over_tls(0)) / MANY_LISTENERS),
    ("ping", "a ping, and the pong that answers it", _Net.ping),
)  # fmt: skip
"""Each cost: its name, what it is, and how a round gives it."""

_SHAPED: Final = {
    "frame": "again",
    "frame_typing": "typing",
    "frame_presence": "presence 1x0 plain",
    "frame_heartbeat": "heartbeat",
    "frame_status": "join",
    "append": "said",
    "handshake": "door good plain",
    "tls_handshake": "door missing tls",
}
"""The load whose operations, each by itself, show the shape of a cost."""


def costing(measured: Measured) -> Costing:
    """Every cost that the rounds of a calibration show. Raises UsageError where there is no round."""
    rounds: Sequence[Round] = measured.rounds
    if not rounds:
        raise UsageError("A calibration without a round shows nothing: measure at least one.")
    warnings: list[str] = []
    wake = _wake(rounds, warnings)
    nets = [_Net(seen, max(wake.value, 0.0)) for seen in rounds]
    costs = {"wake": Cost(name="wake", says="wake the loop when it was asleep", seen=wake)}
    for name, says, of in _COSTS:
        values = [value for value in map(of, nets) if isfinite(value)]
        if not values:
            warnings.append(f"{name} could not be told: no round has it")
            continue
        seen = median_of(values)
        if seen.value <= 0:
            warnings.append(
                f"{name} came out as {seen.value * 1e6:.2g} us, and is given as 0: measure on a quieter machine"
            )
        costs[name] = Cost(name=name, says=says, seen=seen, shape=_shape(name, seen.value, rounds))
    if "commit" in costs:
        costs["commit"] = msgspec.structs.replace(costs["commit"], shape=_commit_shape(rounds))
    warnings += _complaints(measured)
    points = {
        "batch": [(float(n), float(np.median([net.owed(n) for net in nets]))) for n in LISTENERS if n],
        "commit": [
            (float(n), float(np.median([_thread_s(seen[name]) for seen in rounds])))
            for name, n in (("kept", 1), *((f"kept {count}", count) for count in BURSTS))
        ],
    }
    fits = {name: line_through(*zip(*at, strict=True)) for name, at in points.items()}
    took = [one.took_s for one in measured.collections]
    return Costing(
        costs=costs,
        fits=fits,
        points=points,
        overhead=median_of([net.idle for net in nets]),
        memory_bytes={
            server: median_of([chunk.size_bytes / chunk.connections for chunk in chunks])
            for server, chunks in measured.memory.items()
        },
        collected=took,
        collected_share=len(took) / measured.churned if measured.churned else 0.0,
        drift=_drift(measured.reference_s),
        warnings=warnings,
    )


def _wake(rounds: Sequence[Round], warnings: list[str]) -> Median:
    """What a wake-up costs: frames that come one by one against frames that come together (s).

    Both are f + w * (wake-ups a frame), so that w is the difference of their costs over that of their wake-ups.
    """
    found = []
    for seen in rounds:
        net, lone, many = _Net(seen), seen["typing"], seen["typing clump"]
        apart = lone.wakes / lone.frames - many.wakes / many.frames
        if apart >= TOLD_APART_MIN:
            found.append((net.all_s("typing") / lone.frames - net.all_s("typing clump") / many.frames) / apart)
    if not found:
        warnings.append("what a wake-up costs could not be told: the crowd never left the server asleep")
        return Median(0.0, 0.0, 0.0, 0)
    wake = median_of(found)
    if wake.value <= 0:
        warnings.append("a wake-up came out as less than nothing, and is given as 0: measure on a quieter machine")
    return wake


def _shape(name: str, cost_s: float, rounds: Sequence[Round]) -> Shape | None:
    """The shape of a cost that makes up most of the operations it is seen in, else none.

    What else an operation costs is taken off as its mean, so that its spread counts as the cost's: an upper bound.
    """
    load = _SHAPED.get(name)
    if load is None:
        return None
    samples: list[float] = []
    for seen in rounds:
        own = np.asarray(seen[load].each_s)
        if not own.size:
            continue
        rest = float(own.mean()) - cost_s
        if cost_s < LONE_SHARE_MIN * float(own.mean()):
            return None
        samples += (own - max(rest, 0.0)).tolist()
    return _positive_shape(samples)


def _commit_shape(rounds: Sequence[Round]) -> Shape | None:
    samples = [
        s - float(np.median(seen["said"].answered_s or (0.0,))) for seen in rounds for s in seen["kept"].answered_s
    ]
    return _positive_shape(samples)


def _positive_shape(samples: Sequence[float]) -> Shape | None:
    """The shape of samples of which a few may not be above 0; none where they are many, or too few are left."""
    above = [sample for sample in samples if sample > 0]
    try:
        return shape_of(above) if len(above) >= 0.95 * len(samples) else None
    except UsageError:
        return None


def _thread_s(seen: Seen) -> float:
    """CPU time of the log's thread for one operation (s)."""
    return (seen.cpu_s - seen.loop_s) / seen.ops


def _drift(reference_s: Sequence[float]) -> float:
    return max(reference_s) / min(reference_s) if reference_s and min(reference_s) > 0 else 1.0


def _complaints(measured: Measured) -> list[str]:
    """What makes the numbers less than they could be."""
    found = []
    if not measured.pinned:
        found.append("server and crowd shared their core, so that each ran in the other's caches: use two cores")
    drift = _drift(measured.reference_s)
    if drift > DRIFT_MAX:
        found.append(
            f"the same fixed work took {drift:.2f} times as long at one time as at another: the machine was busy"
        )
    paced = [(name, one) for seen in measured.rounds for name, one in seen.items() if one.each_s and one.wall_s]
    late = {name for name, one in paced if one.late_s > LATE_SHARE_MAX * one.wall_s / one.ops}
    if late:
        found.append(f"the crowd was late in {', '.join(sorted(late))}: the machine was busy")
    if not measured.collections:
        found.append("the cycle collector did not run once, so that its pauses are not known: measure for longer")
    return found
