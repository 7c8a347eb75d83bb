"""Pairs of runs: the same scenario live and in simulation, with the same arrivals, and what may be said of them.

Decides what is played, in which order, at which load. Rule: the server of each live run looks over and over again how
fast it is, as those of the calibration did, and its simulation spends what the calibration measured at the speed that
these glances tell of each moment; nothing is fitted to what is compared. A simulated crowd writes each message as late
as the live one did, and latencies count from then: what is compared is the server, and not how punctual a crowd or how
steady a machine is. Simulations with other messages, which say within what a live run is to be, know only how the
speed wavers.
Who judges is `chatsim.analysis.validation`.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, cycle, repeat
from math import inf
from pathlib import Path
from statistics import fmean
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed

from chatsim.analysis.pace import Course, Pace, course_of, pace_of
from chatsim.analysis.report.validated import Shown
from chatsim.analysis.validation import Judged, Sight, judged
from chatsim.errors import BrokenPromiseError, UsageError
from chatsim.live.calibration.disk import commits_s
from chatsim.live.calibration.meters import machine
from chatsim.live.cores import cores, held_to
from chatsim.live.speed import EVERY_S as GLANCE_EVERY_S
from chatsim.live.speed import WARMING, Glance
from chatsim.people.lateness import ON_TIME, Lateness
from chatsim.runner.calibrate import wavering
from chatsim.runner.run import RunResult, play, run
from chatsim.runner.spelled import on_disk, times
from chatsim.scenario.faults import did_you_mean
from chatsim.scenario.load import discover, load_all
from chatsim.scenario.model import Scenario
from chatsim.sim.event_loop import EventLoop, OccupiedLoop
from chatsim.store.calibration import Calibration
from chatsim.verdict.stalls import Stall, Stalls
from chatsim.virtual.arrivals import play_again

PAIRS: Final = Path(__file__).with_name("pairs")
"""The folder of the scenarios that are played on both wires: none was calibrated on, and no check plays them."""

_LOAD: Final = re.compile(r"load-(\d+)%")

RATE_STEPS: Final = 3
"""How often the rate of a pair is mended until the simulation is as busy as the pair says."""

SAME: Final = ("sent", "lost", "duplicates", "out_of_order")
"""Counters that are the same on any wire, whatever the luck."""

NEAR: Final = (
    "pings", "retries", "gave_up", "accepted", "rate_limited", "delivered", "resumes",
    "slow_closed", "no_pong_closed", "stale_closed",
)  # fmt: skip
"""Counters that timers decide, and so the moments at which connections were made and frames came."""

NEAR_SHARE, NEAR_COUNT = 0.1, 5
"""These may differ by so much of the larger, or by so many."""

PACES: Final = ("pace", "pace_hold")
"""Words of the machine, and not of the work."""

COSTLIER: Final = 1.5
FULL_LOAD: Final = 0.7
"""Costs that are so many times too high have to be found out where the load is so high and more."""

CONTROLS: Final = (f"costs x {COSTLIER:g}", "pings", "no retry")
"""What each control's name begins with."""

CROWD_SHARE_MAX: Final = 0.7
"""A crowd that is busy for longer is a queue of its own, as long as the server's: its latencies say little of that."""

AROUND_S: Final = 0.005
DRAINS: Final = 2.0
"""While the host of a virtual machine runs other guests nobody serves, and what has piled up meanwhile is worked off
later: messages that were written so shortly before (s), or until so many times as long after as that takes in the mean,
are left out on both sides. What they waited for they waited for there, and no model knows of that."""

BUSY_MAX: Final = 0.9
"""No server is taken to be busier (a share) when it is reckoned how long its backlog lasts: at 1 it would last for
ever."""

LEFT_OUT_MAX: Final = 0.1
"""Where more of the time than this has to be left out, another run is played. Of those that were played the calmest
count."""

FLOOR_RUNS: Final = 3

FLOOR: Final = {
    "name": "floor",
    "duration": "5s",
    "warmup": "1s",
    "handler": {"rate_limit": "1000/s", "frame_limit": "1000/s"},
    "log": {"store": "memory"},
    "groups": [{"name": "people", "users": 10, "session_size": 2, "messages": {"arrivals": "poisson", "rate": "5/s"}}],
    "expect": ["lost == 0"],
}
"""A live run that keeps nobody busy: what its messages take beside the costs is the way between server and crowd."""


FloatArray = npt.NDArray[np.float64]

NEVER: Final[FloatArray] = np.empty((0, 2))
"""No time at all."""


class Effort(NamedTuple):
    """How many live runs of a pair are judged, at least, and at `most` where the intervals of fewer are too wide to
    tell; how often it is played more in simulation, how many times as many live runs there may be where the machine was
    too busy for some, and how many simulations are played at a time."""

    live: int
    replications: int
    attempts: int
    jobs: int = 2
    most: int = 0


FULL: Final = Effort(live=6, replications=4, attempts=2, most=12)
QUICK: Final = Effort(live=2, replications=3, attempts=2)


class Lived(NamedTuple):
    """One live run: what was seen, at which speed of the machine (1 is that of the calibration), how its crowd was late
    and busy, the counts that were otherwise when its arrivals were played again, as (live, again), or None where they
    cannot be, the moments between which what was written is left out (s, shape (n, 2)) and which share of the time that
    is, the glances at the speed, at moments of the run, how many times slower than usual the server was by each of
    them, by this `power` of them, and how long commits took on its disk right before (s; none where it has no log).
    """

    sight: Sight
    speed: float
    late: Lateness
    counts: dict[str, tuple[int, int]] | None
    disturbed: FloatArray = NEVER
    left_out: float = 0.0
    glances: Sequence[Glance] = ()
    slower: Sequence[float] = ()
    power: float = 1.0
    commits_s: Sequence[float] = ()


class Imitation(NamedTuple):
    """One simulation: of which scenario, on a machine that is `speed` times slower than usual in the mean, with a crowd
    that is so `late` and so busy. `course` is how the speed goes (None: it wavers as the costs say), `chores` is what
    else occupies the server (see `OccupiedLoop`), `seed` another one than the scenario's, `changes` are words of the
    scenario. Of what was written while the live run was `disturbed` (s, shape (n, 2)) nothing is seen. `commits_s` is
    how long commits took on its disk (s).
    """

    scenario: Scenario
    speed: float
    late: Lateness = ON_TIME
    course: Course | None = None
    chores: Sequence[tuple[float, float]] = ()
    seed: int | None = None
    changes: Mapping[str, Any] = {}
    disturbed: FloatArray = NEVER
    commits_s: Sequence[float] = ()


class Pair(msgspec.Struct, kw_only=True):
    """One scenario on both wires; `why` says why it could not be judged (empty: it was), and `broken` that invariants
    did not hold. The sights are kept for the pictures; `speeds` and `left_out` are those of the live runs, and
    `replayed` says whether their own arrivals could be played again."""

    name: str
    judged: Judged | None
    why: str = ""
    broken: bool = False
    replayed: bool = True
    live: list[Sight] = []
    simulated: list[Sight] = []
    controls: dict[str, bool] = {}
    speeds: list[float] = []
    left_out: list[float] = []


def pairs(names: Sequence[str] = ()) -> list[Scenario]:
    """The scenarios of these names, or all. Raises UsageError for a name that there is not."""
    found, problems = load_all(discover([PAIRS]))
    assert not problems, problems
    known = {scenario.name: scenario for scenario in found}
    for name in names:
        if name not in known:
            raise UsageError(f"there is no pair {name}{did_you_mean(name, known)}: say one of {', '.join(known)}")
    return [known[name] for name in (names or known)]


def load_of(scenario: Scenario) -> float:
    """How busy the pair is to keep the loop (a share)."""
    found = [float(match[1]) / 100 for tag in scenario.tags if (match := _LOAD.fullmatch(tag))]
    assert len(found) == 1, f"{scenario.name} says its load once, as a tag like load-50%"
    return found[0]


Live = Callable[[Scenario, Path], RunResult]


def _play_live(scenario: Scenario, out: Path) -> RunResult:
    return run(scenario, on="live", out=out, closely=True)


class Validator:
    """Plays pairs with the costs of one calibration. `speed` is that of the server of the last live run: how many times
    as long its work took as while the costs were measured, by its fixed work and the `power` by which it follows
    that."""

    def __init__(
        self,
        calibration: Calibration,
        effort: Effort,
        path_s: float = 0.0,
        play_live: Live = _play_live,
    ) -> None:
        """`path_s` is what one way between the server and the crowd takes beside the costs (s), `play_live` plays a
        scenario on real sockets and leaves its folder below the one given."""
        self._play_live = play_live
        self.calibration = calibration
        self.effort = effort
        self.path_s = path_s
        self.speed = 1.0
        told = calibration.measured.get("elasticity")
        self.power = 1.0 if told is None else told.value

    def pace(self, live: Sequence[Lived]) -> Pace | None:
        """How the speed has wavered in these runs."""
        return pace_of([slower for lived in live for slower in lived.slower], GLANCE_EVERY_S)

    def wavers(self, pace: Pace | None) -> Calibration:
        """The calibration, with a speed that wavers like this: that is none of the costs, and another one an hour
        later."""
        costs = {word: cost for word, cost in self.calibration.costs.items() if word not in PACES}
        return msgspec.structs.replace(self.calibration, costs=costs if pace is None else costs | wavering(pace))

    def simulated(self, it: Imitation) -> Sight:
        """What is seen of a simulation."""
        speed, course = it.speed, it.course
        costs = {word: cost for word, cost in self.calibration.costs.items() if course is None or word not in PACES}
        words = {
            "costs": times(costs, speed) | on_disk(costs, self.calibration.reference.commits_s, it.commits_s),
            **{
                f"groups.{group.name}.network": {"latency": f"{self.path_s * speed:.9f}s"}
                for group in it.scenario.groups
            },
            **it.changes,
        }
        told = it.scenario.with_(words)
        if it.seed is not None:
            told = told.with_seed(it.seed)
        seen = sight(play(told, late=it.late, loop=_loop(it)), it.late, it.disturbed)
        # A silent server does something too, and where it is busy it does that beside.
        overhead = self.calibration.measured["overhead"].value
        busy = seen.utilisation + overhead * max(0.0, 1.0 - seen.utilisation)
        return msgspec.structs.replace(seen, utilisation=busy)

    def _all(self, calibration: Calibration, imitations: Iterable[Imitation]) -> list[Sight]:
        """Many in simulation, as many at a time as there are processors."""
        return list(
            Parallel(n_jobs=self.effort.jobs)(delayed(_simulated)(calibration, self.path_s, one) for one in imitations)
        )

    def measure_path(self) -> str:
        """Find out what one way between server and crowd takes; returns why that failed, or nothing.

        Of a few runs the least counts: what else runs on the machine only ever adds to it.
        """
        scenario = Scenario.of(FLOOR)
        found = []
        for _ in range(FLOOR_RUNS):
            with tempfile.TemporaryDirectory(prefix="chatsim-validate-") as name:
                try:
                    live, why = self.live(scenario, Path(name))
                except BrokenPromiseError as problem:
                    return f"{problem}"
            if not live:
                return why
            [lived] = live
            self.path_s = 0.0
            told = self.simulated(imitation(scenario, lived))
            over = np.median(lived.sight.latencies["delivery_latency"]) - np.median(told.latencies["delivery_latency"])
            found.append(max(0.0, float(over)) / 2 / lived.speed)
        self.path_s = min(found)
        return ""

    def loaded(self, scenario: Scenario, speed: float) -> Scenario:
        """The scenario whose first group speaks so often that the node is as busy as the pair says."""
        wanted, group = load_of(scenario), scenario.groups[0]
        told, factor = scenario, 1.0
        for _ in range(RATE_STEPS):
            factor *= wanted / self.simulated(Imitation(told, speed)).utilisation
            told = scenario.with_(_faster(group.name, scenario, factor))
        return told

    def live(self, scenario: Scenario, out: Path, runs: int = 1) -> tuple[list[Lived], str]:
        """So many live runs, in the order in which they were played: the calmest of as many as it takes until so many
        are calm, `attempts` times as many at most; or none, and why there are not so many that may be judged.

        Raises BrokenPromiseError where an invariant does not hold in one.
        """
        why, found, calm, unfit = "", list[Lived](), 0, 0
        for _ in range(runs * self.effort.attempts):
            commits = self._commits_s(out) if scenario.log.store == "sqlite" else []
            result = self._play_live(scenario, out)
            share = crowd_share(result)
            if result.violations:
                raise BrokenPromiseError(f"invariants do not hold: {' '.join(f'{each}' for each in result.violations)}")
            if result.valid and share <= CROWD_SHARE_MAX:
                found.append(self._lived(result)._replace(commits_s=commits))
                calm += found[-1].left_out <= LEFT_OUT_MAX
                if calm == runs:
                    break
                continue
            why = result.why_invalid or (
                f"the crowd's process was busy for {share:.0%} of the time, and what is seen is its own queue: give it "
                "a core that is faster, or the pair a lower load"
            )
            unfit += 1
            if (unfit == self.effort.attempts and not found) or not (result.busy or result.valid):
                break
        if len(found) < runs:
            return [], why
        calmest = sorted(range(len(found)), key=lambda place: found[place].left_out)[:runs]
        return [found[place] for place in sorted(calmest)], ""

    def _commits_s(self, folder: Path) -> list[float]:
        """How long commits take there just now, where those of the calibration are known (s)."""
        if not self.calibration.reference.commits_s:
            return []
        with held_to(next(iter(cores() or ()), None)):
            return commits_s(folder)

    def _lived(self, result: RunResult) -> Lived:
        """What is compared of a live run."""
        usual_s = self.calibration.reference.median_s
        slower = [(glance.took_s / usual_s) ** self.power for glance in result.glances]
        # What a run takes is a sum, so it is the mean that counts.
        self.speed = fmean(slower) if slower else 1.0
        late = lateness(result)
        apart = disturbed(result)
        left_out = Stalls(Stall(*each) for each in apart).within(result.record.warmup_s, result.record.duration_s)
        left_out /= result.record.duration_s - result.record.warmup_s
        return Lived(
            sight(result, late, apart),
            self.speed,
            late,
            _again(result),
            apart,
            float(left_out),
            result.glances,
            slower,
            self.power,
        )

    def pair(self, scenario: Scenario) -> Pair:
        """Play one pair, and judge it."""
        told = self.loaded(scenario, self.speed)
        live: list[Lived] = []
        while True:
            with tempfile.TemporaryDirectory(prefix="chatsim-validate-") as name:
                try:
                    more, why = self.live(told, Path(name), self.effort.live)
                except BrokenPromiseError as problem:
                    return Pair(name=scenario.name, judged=None, why=f"{problem}", broken=True)
            live += more
            if not live:
                return Pair(name=scenario.name, judged=None, why=why)
            last = not more or len(live) >= self.effort.most
            # Whether there is to be more of it depends on how wide the intervals are, and not on where they lie.
            if (found := self._compared(told, live, scenario.seed, last=last)) is not None:
                return found

    def _compared(self, told: Scenario, live: Sequence[Lived], seed: int, *, last: bool) -> Pair | None:
        """What the simulation makes of these live runs; None where they are too few to tell, and not the `last`."""
        sides = [lived.sight for lived in live]
        pace = self.pace(live)
        calibration = self.wavers(pace)
        # A few hundred commits say little of a tail, and all of a pair's together enough.
        commits = [each_s for lived in live for each_s in lived.commits_s]
        same = [imitation(told, lived, pace.hold_s if pace else 0.0)._replace(commits_s=commits) for lived in live]
        simulated = self._all(calibration, same)
        if not (last or judged(told.name, load_of(told), sides, simulated).sharp):
            return None
        speed = fmean(lived.speed for lived in live)
        seeds = [seed + 1000 + number for number in range(self.effort.replications)]
        # Other messages are as late as those of a live run that were meant for about the same moments.
        luck = zip(seeds, cycle(live), strict=False)
        others = self._all(
            calibration,
            (
                Imitation(told, speed, one.late, chores=_glancing(one), seed=other, commits_s=commits)
                for other, one in luck
            ),
        )
        counts = differences(sides, simulated)
        for lived in live:
            counts |= lived.counts or {}
        found = judged(told.name, load_of(told), sides, simulated, others, counts)
        return Pair(
            name=told.name,
            judged=found,
            replayed=all(lived.counts is not None for lived in live),
            live=sides,
            simulated=simulated,
            controls=self._controls(calibration, same, sides, found),
            speeds=[lived.speed for lived in live],
            left_out=[lived.left_out for lived in live],
        )

    def _controls(
        self, calibration: Calibration, same: Sequence[Imitation], live: Sequence[Sight], right: Judged
    ) -> dict[str, bool]:
        """Simulations that are wrong on purpose, where this pair can show it, and whether what is said of each is
        another thing than what is said of the `right` ones: what those had wrong, too, tells nothing."""
        scenario = same[0].scenario
        name, found = scenario.name, {}
        if load_of(scenario) >= FULL_LOAD:
            wrong = self._all(calibration, (one._replace(speed=one.speed * COSTLIER) for one in same))
            turned = right.equal - judged(name, load_of(scenario), live, wrong).equal
            tails = right.equal & {"delivery_latency_p95", "delivery_latency_p99"}
            found[f"costs x {COSTLIER:g} ({name})"] = "utilisation" in turned and (not tails or bool(tails & turned))
        rarer = {"handler.ping_interval": f"{scenario.handler.ping_interval_s * 1.5:g}s"}
        for counter, kind, changes, share in (
            ("pings", "pings half as far apart again", rarer, 1 / 3),
            ("retries", *_NO_RETRY, 1.0),
        ):
            # So much of them is missing then: where that is no more than may differ, nothing is to be found out.
            there_are = live[0].counts[counter]
            if share * there_are > may_differ(counter, there_are):
                wrong = self._all(calibration, (one._replace(changes=changes) for one in same))
                found[f"{kind} ({name})"] = counter in differences(live, wrong) and counter not in right.counts
        return found


_NO_RETRY: Final[tuple[str, dict[str, Any]]] = ("no retry", {"handler.retries": 0})


def imitation(scenario: Scenario, lived: Lived, held_s: float = 0.0) -> Imitation:
    """The live run once more: its arrivals, its crowd, and the machine's speed as it went while it was played. A speed
    is held for `held_s` in the mean (0: it does not waver)."""
    course = None
    if lived.glances:
        at, took_s, first_s = zip(*lived.glances, strict=True)
        works = course_of(at, took_s, first_s, held_s, GLANCE_EVERY_S)
        levels = np.power(works.levels, lived.power)
        course = works._replace(levels=tuple(map(float, levels / levels.mean())))
    return Imitation(scenario, lived.speed, lived.late, course, _glancing(lived), disturbed=lived.disturbed)


def _glancing(lived: Lived) -> list[tuple[float, float]]:
    """What glances at the speed kept the server of a live run from, and when (s)."""
    return [(glance.at, glance.took_s * (1.0 + WARMING)) for glance in lived.glances]


def _loop(it: Imitation) -> EventLoop:
    """The loop of the server that is imitated."""
    loop = OccupiedLoop(it.chores)
    course = it.course
    if course is not None:
        paces, holds = chain(course.levels, repeat(course.levels[-1])), chain(course.holds_s, repeat(inf))
        loop.waver(lambda: next(paces), lambda: next(holds))
    return loop


def _simulated(calibration: Calibration, path_s: float, one: Imitation) -> Sight:
    """One in simulation, wherever this is called."""
    return Validator(calibration, FULL, path_s).simulated(one)


def differences(live: Sequence[Sight], simulated: Sequence[Sight]) -> dict[str, tuple[int, int]]:
    """Counters that should be the same, or near, and are not: (live, simulated)."""
    found = {}
    for real, told in zip(live, simulated, strict=True):
        for name in (*SAME, *NEAR):
            a, b = real.counts[name], told.counts[name]
            if abs(a - b) > may_differ(name, max(a, b)):
                found[name] = (a, b)
    return found


def may_differ(counter: str, larger: int) -> float:
    """By how much two counts may differ, the larger of which is this."""
    return max(NEAR_SHARE * larger, NEAR_COUNT) if counter in NEAR else 0


def crowd_share(result: RunResult) -> float:
    """For which share of the time the crowd of a live run was busy while people acted; 0 where nobody has told."""
    spent_s: float = result.health.get("crowd_cpu_s", 0.0)
    return spent_s / result.record.duration_s


def lateness(result: RunResult) -> Lateness:
    """By how much the crowd of a live run was late in writing, and what each read, each frame that was there, and each
    that it wrote took it; in a run of another wire nobody is, and nothing takes anything."""
    told = result.health
    wrote_s, heard_s = told.get("crowd_wrote_s", 0.0), told.get("crowd_heard_s", 0.0)
    busy = {
        "reads_s": max(told.get("crowd_cpu_s", 0.0) - wrote_s - heard_s, 0.0) / max(told.get("crowd_reads", 0), 1),
        "frames_s": heard_s / max(told.get("crowd_frames", 0), 1),
        "writes_s": wrote_s / max(told.get("frames_in", 0), 1),
    }
    meant_at = np.array([sent.intended_at for sent in result.record.sent])
    late_s = np.array(result.late_s, dtype=np.float64)
    return Lateness(meant_at, late_s, **busy) if late_s.size else ON_TIME._replace(**busy)


def disturbed(result: RunResult) -> FloatArray:
    """Between which moments what was written in a live run waited for the host of its machine, or behind what did (s,
    shape (n, 2))."""
    busy = min(result.record.utilisation[0], BUSY_MAX)
    found = [
        (began_at - AROUND_S, ended_at + AROUND_S + DRAINS * (ended_at - began_at) * busy / (1.0 - busy))
        for began_at, ended_at in result.stolen
    ]
    return np.array(found).reshape(-1, 2)


def sight(result: RunResult, late: Lateness = ON_TIME, without: FloatArray = NEVER) -> Sight:
    """What is compared of one run, whose crowd was so late in writing, `without` what was written then (s, shape
    (n, 2)).

    Latencies (s) count from when each message was written, whenever it was meant.
    """
    record = result.record
    rows = [(sent, record.accepted.get((sent.user, sent.id))) for sent in record.sent]
    sent_at = np.array([sent.intended_at for sent, _ in rows])
    acked_at = np.array([sent.acked_at for sent, _ in rows])
    deliveries = [
        (place, at) for place, (_, message) in enumerate(rows) for at in record.receipts.get(message or "", {}).values()
    ]
    place = np.array([at for at, _ in deliveries], dtype=np.int64)
    heard_at = np.array([at for _, at in deliveries])
    acked = np.flatnonzero(~np.isnan(acked_at))
    said_at = late.moments(sent_at)
    heard_s = heard_at - said_at[place]
    acked_s = acked_at[acked] - said_at[acked]
    counts = (sent_at >= record.warmup_s) & ~_within(said_at, without)
    warm, warm_acked = counts[place], counts[acked]
    return Sight(
        moments={"delivery_latency": sent_at[place][warm], "ack_latency": sent_at[acked][warm_acked]},
        latencies={"delivery_latency": heard_s[warm], "ack_latency": acked_s[warm_acked]},
        utilisation=record.utilisation[0],
        counts=_counted(result),
    )


def _within(moments: FloatArray, spans: FloatArray) -> npt.NDArray[np.bool_]:
    """Which of the moments, shape (n,), lie in one of the spans, shape (m, 2)."""
    inside = np.zeros(moments.size, dtype=np.bool_)
    for began_at, ended_at in spans:
        inside |= (began_at <= moments) & (moments <= ended_at)
    return inside


def _counted(result: RunResult) -> dict[str, int]:
    """The counters, pings as many as there are while people act: they go on for as long as a run takes to settle."""
    acting = result.record.duration_s / result.lasted_s if result.lasted_s else 1.0
    return {**result.counters, "pings": round(result.counters["pings"] * acting)}


def _faster(group: str, scenario: Scenario, factor: float) -> dict[str, Any]:
    """The words by which a group speaks so much more often than in the scenario."""
    messages = scenario.group(group).messages
    profile = getattr(messages, "profile", None)
    if profile is not None:
        points = [[f"{at_s:g}s", f"{rate * factor:.6g}/s"] for at_s, rate in profile]
        return {f"groups.{group}.messages.profile": points}
    rate = getattr(messages, "rate_per_s", None)
    assert rate is not None, f"{scenario.name} speaks at a rate"
    return {f"groups.{group}.messages.rate": f"{rate * factor:.6g}/s"}


def _again(result: RunResult) -> dict[str, tuple[int, int]] | None:
    """What was counted otherwise when the arrivals of a live run came again; None where a peer's slowness cannot."""
    assert result.path is not None
    try:
        return play_again(result.path / "journal.jsonl").differences
    except UsageError:
        return None


_APART: Final = (
    "Server and crowd of each live run had a core of their own, as while the costs were measured: left to itself this "
    "system may put both on one."
)
_TOGETHER: Final = (
    "Server and crowd of each live run had to share what cores there are, so that each may have waited for the other, "
    "which no simulation knows of."
)

_CLOSELY: Final = (
    "Latencies count from when each message was written: a simulated crowd writes each as late as the live one did, "
    "and takes as long as that for what it reads and writes. The live crowd never sleeps, and its server runs before "
    "all else on its core where the system allows that (SCHED_FIFO). Each simulation goes through the speeds that its "
    "live server saw by a fixed work, a hundred times a second; those with other messages, which say what is inside, "
    "do not."
)

Told = Callable[[str], None]
"""Hears a line when a pair is done."""


def validate(
    calibration: Calibration,
    names: Sequence[str],
    effort: Effort,
    *,
    told: Told = lambda line: None,
    make: Callable[[Calibration, Effort], Validator] = Validator,
) -> Shown:
    """Play and judge the pairs of these names (none: all of them), by the validator that `make` makes. An interrupt
    keeps those that are done.

    Raises UsageError for a name that there is not, HarnessError where a run failed on the way, KeyboardInterrupt where
    none is done.
    """
    wanted = pairs(names)
    validator = make(calibration, effort)
    interrupted = False
    notes = [*_of(calibration), _APART if cores() else _TOGETHER, _CLOSELY]
    found: list[Pair] = []
    try:
        why = validator.measure_path()
        if why:
            notes.append(
                f"What the way between server and crowd takes could not be measured, and is taken as 0: {why}."
            )
        else:
            notes.append(f"One way between server and crowd takes {validator.path_s * 1e6:.0f} us beside the costs.")
        for number, scenario in enumerate(wanted, 1):
            found.append(validator.pair(scenario))
            told(f"{number} of {len(wanted)}: {scenario.name}{_word(found[-1])}")
    except KeyboardInterrupt:
        if not found:
            raise
        interrupted = True
        notes.append(f"It was interrupted when {len(found)} of {len(wanted)} pairs were done: the others are not here.")
    speeds = [speed for pair in found for speed in pair.speeds]
    if speeds:
        notes.append(
            f"The servers took {min(speeds):.2f} to {max(speeds):.2f} times as long as while they were calibrated, by "
            "their fixed work; each simulation was played at the speed of its live run."
        )
        most = max(share for pair in found for share in pair.left_out)
        on = f" ({effort.most} where the intervals of fewer are too wide to tell)" if effort.most > effort.live else ""
        notes.append(
            f"Of the live runs up to {most:.0%} of the time is left out, on both sides, since the host of the machine "
            "ran other guests then, or what had piled up was worked off: the calmest "
            f"{effort.live} runs of a pair count{on}, of as many as it took until so many had {LEFT_OUT_MAX:.0%} at "
            f"most, and of {effort.attempts} times as many in the worst case."
        )
    unplayed = [pair.name for pair in found if not pair.replayed]
    if unplayed:
        notes.append(
            f"The arrivals of {', '.join(unplayed)} cannot be played again, since somebody reads slowly there: the "
            "counts are held against the simulation alone."
        )
    controls = {name: turned for pair in found for name, turned in pair.controls.items()}
    if not names and not interrupted:
        # A reach without a control would be none.
        controls |= {kind: False for kind in CONTROLS if not any(name.startswith(kind) for name in controls)}
    return Shown(
        pairs=[pair.judged for pair in found if pair.judged is not None],
        sights={pair.name: (pair.live, pair.simulated) for pair in found if pair.judged is not None},
        unjudged={pair.name: pair.why for pair in found if pair.judged is None and not pair.broken},
        broken={pair.name: pair.why for pair in found if pair.broken},
        there_are=len(pairs()),
        controls=controls,
        machine=machine(),
        notes=notes,
        interrupted=interrupted,
    )


def _of(calibration: Calibration) -> Iterator[str]:
    """Whose costs these are."""
    rounds = f"{calibration.rounds} rounds{' (quick)' if calibration.quick else ''}"
    yield f"The costs were calibrated at {calibration.made_at}, in {rounds}."
    here = machine()
    other = [name for name, value in calibration.machine.items() if here.get(name, value) != value]
    if other:
        yield f"That was another machine ({', '.join(f'{name} {calibration.machine[name]}' for name in other)})."


def _word(pair: Pair) -> str:
    if pair.broken:
        return f" is broken: {pair.why}"
    if pair.judged is None:
        return f" could not be judged: {pair.why}"
    off = [f"{test.metric} {test.ratio:.2f} [{test.low:.2f}, {test.high:.2f}]" for test in pair.judged.tests]
    off = [text for text, test in zip(off, pair.judged.tests, strict=True) if not test.equivalent]
    off += [f"{name} {was} against {now}" for name, (was, now) in pair.judged.counts.items()]
    return f" is not equivalent: {', '.join(off)}" if off else " is equivalent"
