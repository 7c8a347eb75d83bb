"""What each kind of work costs, out of the counters of a calibration.

Decides how noise is averaged and how costs are told apart. Rule: every load is divided by the speed of the server just
then (a fixed work that it did meanwhile, to the power by which the server follows it), averaged over rounds without the
quarters that are farthest off, and all costs are found at once, as those of 0 or more that explain all loads best
(non-negative least squares: Lawson and Hanson 1974, ch. 23); their intervals come from rounds drawn again (bootstrap).
Costs are those on the machine's median speed.
How the loads are played is `chatsim.live.calibration`'s affair, what they are made of `makeup`'s, how numbers are
fitted `fits`'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from chatsim.analysis.arrays import FloatArray
from chatsim.analysis.commits import BATCHES, Commits, commit_shape
from chatsim.analysis.elasticity import elasticity_of
from chatsim.analysis.fits import Line, Median, Shape, line_through, median_of, positive_shape
from chatsim.analysis.makeup import ALONE, ASIDE, BY_NAME
from chatsim.analysis.pace import Pace, pace_of
from chatsim.analysis.rounds import Loads, Round, kinds_of, middle
from chatsim.errors import UsageError
from chatsim.live.calibration.loads import LISTENERS, Server
from chatsim.live.calibration.seen import Measured

LONE_SHARE_MIN: Final = 0.5
"""A cost has a shape of its own where it is at least this share of the load that it was seen in: else what is seen is
the shape of the rest."""

TOLD_APART_MIN: Final = 0.2
"""Wake-ups a frame by which two loads must differ, or what a wake-up costs cannot be told."""

LATE_SHARE_MAX: Final = 0.5
"""A crowd that is later than this share of a load's gap did not play it as it was meant."""

DRIFT_MAX: Final = 1.15
"""The fixed work may be so much slower at one time than at another, before that is said."""

STOLEN_MAX: Final = 0.01
"""More than this share of the time that a host took from its guest is worth a word."""

COLD_AFTER_S: Final = (0.0001, 0.0002, 0.0004, 0.0008, 0.0016, 0.0032)
"""For how long a loop sleeps until it is cold: these are tried, and the one by which the loads are explained best
counts."""

DRAWS: Final = 400
"""How often rounds are drawn again for the intervals."""

MODEL_ERROR: Final = 0.03
"""No load is taken to be known better than to this share: more rounds make none of them surer than the sums hold."""


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """One cost (s) with the interval, and the shape of its samples where they have one."""

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
    share of a processor that a silent server uses; `memory_bytes` by server and connection; `collected_at` is after how
    many stored messages the collector ran first, and after how many more each time (0: it did not), `drift` how much
    slower the machine was at slow times than at fast ones, `elasticity` the power by which the server is slower when
    that work is (None: they do not tell, and it is taken as 1), `cold_after_s` and `commit_cold_after_s` for how long
    the loop sleeps, and the log rests, until it is cold (0: that could not be told), `commit_busy` which share of a
    commit the log's thread works, `pace` how its speed wavers within a second (None: it does not), `unexplained` how
    far the loads lie from what the costs say they take (a share, root mean square), `warnings` what is to be known of
    all this."""

    costs: dict[str, Cost]
    fits: dict[str, Line]
    points: dict[str, list[tuple[float, float]]]
    overhead: Median
    memory_bytes: dict[str, Median]
    collected: list[float]
    collected_at: tuple[int, int]
    drift: float
    elasticity: Median | None
    cold_after_s: float
    commit_cold_after_s: float
    commit_busy: Median | None
    pace: Pace | None
    unexplained: float
    warnings: list[str]


SAYS: Final = {
    "wake": "wake the loop when it was asleep",
    "cold": "wake it after a long sleep, beside that",
    "frame": "read, parse and handle one message that is known already",
    "frame_ack": "one ack, without the messages that it settles",
    "frame_typing": "one typing frame that nobody hears of",
    "frame_presence": "one presence frame that nobody hears of",
    "frame_heartbeat": "one heartbeat, without its answer",
    "frame_status": "one join of a session that is joined already, without its answer",
    "alone": "tell one connection one frame: recipient and write together",
    "recipient": "one frame more to a connection that is written to anyway",
    "flush": "a turn that says something to many, beside the writes",
    "write": "each connection written to in a turn",
    "owed": "each recipient of a message, who is to ack it",
    "settled": "each message that an ack settles",
    "append": "accept and store a message, log in memory",
    "commit": "how long a commit keeps the ack of its record waiting, right after another",
    "commit_cold": "how much longer that is after a long rest",
    "commit_record": "one record more in a commit: the log's thread",
    "commit_heard": "what it costs the loop to hear of a commit, and to have its messages stored by somebody else",
    "verify": "one token, HS256: an expired one at the door against none",
    "verify_es256": "one token, ES256: an expired one at the door against none",
    "handshake": "a handshake over plain text and its connection's end, without the token and the welcome",
    "tls_handshake": "a full TLS handshake, beside the same over plain text",
    "tls_frame": "what TLS adds to reading one frame",
    "tls_write": "what TLS adds to one write",
    "ping": "a ping, and the pong that answers it",
}
"""Each cost, and what it is."""

_TOKENS: Final[Mapping[str, Server]] = {"verify": "plain", "verify_es256": "es256"}
"""What a token costs, and at whose door that is seen."""

_LOGS: Final = ("commit", "commit_cold", "commit_record")
"""What is the time of the log's own thread."""

_LOOPS: Final = tuple(name for name in SAYS if name not in ("alone", "cold", *_LOGS, *_TOKENS))
"""Those that are the loop's time, and found together."""

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


def costing(measured: Measured, draws: int = DRAWS) -> Costing:
    """Every cost that the rounds of a calibration show, with intervals from so many `draws` of the rounds.

    Raises UsageError where there is no round.
    """
    rounds: Sequence[Round] = measured.rounds
    if not rounds:
        raise UsageError("A calibration without a round shows nothing: measure at least one.")
    warnings: list[str] = []
    usual_s = float(np.median(measured.reference_s)) if measured.reference_s else 0.0
    drawn = _drawn(rounds, draws)
    power = _elasticity(rounds, drawn)
    loads = Loads(rounds, usual_s, 1.0 if power is None else power.value)
    # What a wake-up costs shows between frames that come one by one and frames that come together.
    apart = loads.per_frame("typing", "wakes") - loads.per_frame("typing clump", "wakes")
    unknowns = [*_LOOPS, *ASIDE]
    tokens = _tokens(loads, drawn)
    if apart < TOLD_APART_MIN:
        unknowns.remove("wake")
        warnings.append("what a wake-up costs could not be told: the crowd never left the server asleep")
    explained = _Explained(loads, unknowns, drawn, tokens)
    found = explained.costs | tokens
    if all(word in found for word in ALONE):
        found["alone"] = np.sum([found[word] for word in ALONE], axis=0)
    commits = Commits(loads, drawn, explained.costs, explained.cold_after_s)
    found |= commits.costs
    found.setdefault("wake", np.zeros(draws + 1))
    costs: dict[str, Cost] = {}
    for name, says in SAYS.items():
        if (name == "cold" and not explained.cold_after_s) or (name == "commit_cold" and not commits.cold_after_s):
            continue
        if name not in found:
            warnings.append(f"{name} could not be told: no round has it")
            continue
        seen = _interval(found[name], len(rounds))
        if seen.value <= 0 and (name != "wake" or name in unknowns):
            warnings.append(f"{name} came out as nothing, and is given as 0: measure on a quieter machine")
        costs[name] = Cost(name=name, says=says, seen=seen, shape=_shape(name, seen.value, loads))
    if "commit" in costs:
        costs["commit"] = msgspec.structs.replace(costs["commit"], shape=commit_shape(loads))
    warnings += _complaints(measured)
    at_rest = loads.presence(0)
    points = {
        "batch": [(float(n), float(loads.presence(n) - at_rest)) for n in LISTENERS if n > 1],
        "commit": [(float(n), float(middle(loads.thread(name)))) for name, n in BATCHES],
    }
    fits = {name: line_through(*zip(*at, strict=True)) for name, at in points.items()}
    slower = measured.collecting_s / usual_s if usual_s and measured.collecting_s else 1.0
    took = [one.took_s / slower**loads.power for one in measured.collections]
    return Costing(
        costs=costs,
        fits=fits,
        points=points,
        overhead=_interval(np.array([middle(loads.idle[one]) for one in drawn]), len(rounds)),
        memory_bytes={
            server: median_of([chunk.size_bytes / chunk.connections for chunk in chunks])
            for server, chunks in measured.memory.items()
        },
        collected=took,
        collected_at=_collected_at(measured),
        drift=_drift(measured.reference_s),
        elasticity=power,
        cold_after_s=explained.cold_after_s,
        commit_cold_after_s=commits.cold_after_s,
        commit_busy=None if commits.busy is None else _interval(commits.busy, len(rounds)),
        pace=pace_of(np.power(measured.series_s, loads.power), measured.series_every_s),
        unexplained=explained.unexplained,
        warnings=warnings,
    )


class _Explained:
    """The costs that explain the loads best beside those that are known: `costs` has the best ones and those of each
    draw, shape (draws + 1,), as `known` has. `cold_after_s` is for how long the loop sleeps until it is cold, of those
    that were tried (0: the loads do not tell)."""

    def __init__(
        self,
        loads: Loads,
        unknowns: Sequence[str],
        draws: Sequence[npt.NDArray[np.int64]],
        known: Mapping[str, FloatArray],
    ) -> None:
        # How long a server sleeps depends on how busy it is kept: each level has rows of its own.
        kinds = loads.kinds
        at = [[one[kind[one]] for kind in kinds] for one in draws]
        names = [name for name in BY_NAME if any(loads.parts(name))]
        twins = _twins(names)
        seen = np.array([loads.ops(name) for name in names])
        drawn = np.array([[middle(seen[:, kind], axis=1) for kind in one] for one in at])
        first = [next(filter(None, loads.parts(name))) for name in names]
        spent = np.array([[part.get(word, 0.0) for word in known] for part in first]) @ np.array([*known.values()])
        drawn -= spent.T[:, np.newaxis, :]
        whole = drawn[0].ravel()
        drawn = _apart(drawn, twins).reshape(len(draws), -1)
        best = drawn[0]
        off = np.hypot(np.nanstd(drawn[1:], axis=0), MODEL_ERROR * np.abs(best))
        weight = 1.0 / np.maximum(off, 1e-12)

        def design(cold_after_s: float) -> FloatArray:
            words = [*unknowns, "cold"] if cold_after_s else unknowns
            amounts = [loads.amounts(name, words, cold_after_s) for name in names]
            made = np.array([[middle(each[kind]) for each in amounts] for kind in kinds])
            return made.swapaxes(1, 2)

        def rows(made: FloatArray) -> FloatArray:
            return made.swapaxes(1, 2).reshape(best.size, -1)

        tells = "wake" in unknowns and loads.sleeps_differ(names)
        tried = {after: design(after) for after in (COLD_AFTER_S if tells else (0.0,))}
        apart = {after: rows(_apart(made, twins)) for after, made in tried.items()}
        self.cold_after_s = min(apart, key=lambda after: nnls(apart[after] * weight[:, np.newaxis], best * weight)[1])
        made = apart[self.cold_after_s]
        words = [*unknowns, "cold"][: made.shape[1]]
        told = [place for place in range(len(words)) if made[:, place].any()]
        matrix = made[:, told] * weight[:, np.newaxis]
        found = np.array([nnls(matrix, np.where(np.isnan(one), best, one) * weight)[0] for one in drawn])
        self.costs = {words[place]: found[:, n] for n, place in enumerate(told) if words[place] not in ASIDE}
        explained = rows(tried[self.cold_after_s])[:, told] @ found[0]
        self.unexplained = float(np.sqrt(np.mean((1.0 - explained / whole) ** 2)))


def _twins(names: Sequence[str]) -> list[tuple[int, int]]:
    """The places of the loads that another server than the plain one has, and of the same load there."""
    pairs = [(name, name.removesuffix(BY_NAME[name].server) + "plain") for name in names]
    return [(names.index(name), names.index(twin)) for name, twin in pairs if twin != name and twin in names]


def _apart(values: FloatArray, twins: Sequence[tuple[int, int]]) -> FloatArray:
    """What these loads, along the last axis, have more than their twins, and the others as they are.

    What TLS or a log adds is little beside the load that shows it, and as much as that is off.
    """
    apart = values.copy()
    for place, twin in twins:
        apart[..., place] -= values[..., twin]
    return apart


def _tokens(loads: Loads, draws: Sequence[npt.NDArray[np.int64]]) -> dict[str, FloatArray]:
    """What looking at a token costs (s), by draw.

    It is little beside the handshake around it, a few of which take long: so it is the medians of both that differ by
    it, and not their means.
    """
    found = {}
    for word, server in _TOKENS.items():
        apart = loads.median(f"door expired {server}") - loads.median(f"door missing {server}")
        found[word] = np.array([middle(apart[one]) for one in draws])
    return found


def _drawn(rounds: Sequence[Round], draws: int) -> list[npt.NDArray[np.int64]]:
    """The rounds as they are, and then drawn again, as many of each level as there were."""
    generator = np.random.default_rng(0)
    kinds = kinds_of(rounds)
    drawn = [np.concatenate([generator.choice(kind, kind.size) for kind in kinds]) for _ in range(draws)]
    return [np.arange(len(rounds)), *drawn]


def _elasticity(rounds: Sequence[Round], drawn: Sequence[npt.NDArray[np.int64]]) -> Median | None:
    """The power by which the server is slower when its fixed work is."""
    names = [name for name in BY_NAME if all(name in seen and seen[name].ops for seen in rounds)]
    spent = np.array([[seen[name].loop_s / seen[name].ops for name in names] for seen in rounds])
    halves = np.array([[seen[name].halves_s or (nan, nan) for name in names] for seen in rounds])
    return elasticity_of(np.moveaxis(halves.reshape(*spent.shape, 2), -1, 0), spent, kinds_of(rounds), drawn)


def _interval(drawn: FloatArray, rounds: int) -> Median:
    """The first with the middle 95 % of the others."""
    low, high = np.percentile(drawn[1:], [2.5, 97.5])
    return Median(float(drawn[0]), float(low), float(high), rounds)


def _shape(name: str, cost_s: float, loads: Loads) -> Shape | None:
    """The shape of a cost that makes up most of the operations it is seen in, else none.

    What else an operation costs is taken off as its mean, so that its spread counts as the cost's: an upper bound.
    """
    load = _SHAPED.get(name)
    if load is None:
        return None
    shown = [(seen[load], loads.speed(seen[load])) for seen in loads.rounds]
    own = np.array([spent / speed for one, speed in shown for spent in one.each_s])
    if not own.size or cost_s < LONE_SHARE_MIN * float(own.mean()):
        return None
    rest = float(own.mean()) - cost_s
    return positive_shape((own - max(rest, 0.0)).tolist())


def _drift(reference_s: Sequence[float]) -> float:
    """The reference's 95th percentile over its 5th: single glances are sometimes in somebody's way."""
    if not reference_s:
        return 1.0
    low, high = np.percentile(reference_s, [5, 95])
    return float(high / low) if low > 0 else 1.0


def _collected_at(measured: Measured) -> tuple[int, int]:
    """After how many stored messages the collector ran first in a fresh server, and after how many more each time."""
    if not measured.collected_at:
        return 0, 0
    first, last = measured.collected_at[0], measured.collected_at[-1]
    more = len(measured.collected_at) - 1
    return first, max(1, round((last - first) / more)) if more else first


def _complaints(measured: Measured) -> list[str]:
    """What makes the numbers less than they could be."""
    found = []
    if not measured.pinned:
        found.append("server and crowd shared their core, so that each ran in the other's caches: use two cores")
    if measured.stolen_share > STOLEN_MAX:
        found.append(f"the host of the machine ran other guests for {measured.stolen_share:.1%} of the time")
    drift = _drift(measured.reference_s)
    if drift > DRIFT_MAX:
        found.append(
            f"the same fixed work took {drift:.2f} times as long at one time as at another: costs are those on the "
            "machine's median speed"
        )
    paced = [(name, one) for seen in measured.rounds for name, one in seen.items() if one.each_s and one.wall_s]
    late = {name for name, one in paced if one.late_s > LATE_SHARE_MAX * one.wall_s / one.ops}
    if late:
        found.append(f"the crowd was late in {', '.join(sorted(late))}: the machine was busy")
    if not measured.collections:
        found.append("the cycle collector did not run once, so that its pauses are not known: measure for longer")
    return found
