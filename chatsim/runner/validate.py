"""Pairs of runs: the same scenario live and in simulation, with the same arrivals, and what may be said of them.

Decides what is played, in which order, at which load. Rule: the server of each live run looks over and over again how
fast it is, as those of the calibration did, and its simulation spends what the calibration measured at the speed that
these glances tell, which wavers as they do; nothing is fitted to what is compared. A simulated crowd writes each
message as late as the live one did, and latencies count from then: what is compared is the server, and not how punctual
a crowd is.
Who judges is `chatsim.analysis.validation`.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from joblib import Parallel, delayed

from chatsim.analysis.pace import pace_of
from chatsim.analysis.report.validated import Shown
from chatsim.analysis.validation import Judged, Sight, judged
from chatsim.errors import UsageError
from chatsim.live.calibration.meters import machine, stolen_s
from chatsim.live.cores import cores
from chatsim.live.speed import EVERY_S as GLANCE_EVERY_S
from chatsim.people.lateness import ON_TIME, Lateness
from chatsim.runner.calibrate import wavering
from chatsim.runner.run import RunResult, play, run
from chatsim.scenario.faults import did_you_mean
from chatsim.scenario.load import discover, load_all
from chatsim.scenario.model import Scenario
from chatsim.store.calibration import Calibration
from chatsim.virtual.arrivals import play_again

PAIRS: Final = Path(__file__).with_name("pairs")
"""The folder of the scenarios that are played on both wires: none was calibrated on, and no check plays them."""

_LOAD: Final = re.compile(r"load-(\d+)%")
_TIMED: Final = re.compile(r"^([0-9.e+-]+)us$")

RATE_STEPS: Final = 3
"""How often the rate of a pair is mended until the simulation is as busy as the pair says."""

SAME: Final = ("sent", "lost", "duplicates", "out_of_order")
"""Counters that are the same on any wire, whatever the luck."""

NEAR: Final = ("pings", "retries", "gave_up")
"""Counters that timers decide, and so the moment at which each connection was made."""

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

STOLEN_MAX: Final = 0.003
"""Where the host gave more of the time than this to other guests, a run is played again: what waited then waited for
them, and a p99 is what one in a hundred waits. Of those that were played the calmest counts."""

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


class Effort(NamedTuple):
    """How often a pair is played live, how often more in simulation, how often a run that the machine was too busy for
    is tried again, and how many simulations are played at a time."""

    live: int
    replications: int
    attempts: int
    jobs: int = 2


FULL: Final = Effort(live=5, replications=4, attempts=3)
QUICK: Final = Effort(live=2, replications=3, attempts=2)


class Lived(NamedTuple):
    """One live run: what was seen, at which speed of the machine (1 is that of the calibration), how its crowd was late
    and busy, the counts that were otherwise when its arrivals were played again, as (live, again), which share of the
    time the host gave to others, and what the server's fixed work took each time (s of CPU)."""

    sight: Sight
    speed: float
    late: Lateness
    counts: dict[str, tuple[int, int]]
    stolen: float = 0.0
    glances_s: Sequence[float] = ()


class Pair(msgspec.Struct, kw_only=True):
    """One scenario on both wires; `why` says why it could not be judged (empty: it was). The sights are kept for the
    pictures; `speeds` and `stolen` are those of the live runs."""

    name: str
    judged: Judged | None
    why: str = ""
    live: list[Sight] = []
    simulated: list[Sight] = []
    controls: dict[str, bool] = {}
    speeds: list[float] = []
    stolen: list[float] = []


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


def times(words: Any, factor: float) -> Any:
    """Costs as a calibration spells them, all of them so many times what they were."""
    if isinstance(words, str) and (match := _TIMED.fullmatch(words)):
        return f"{float(match[1]) * factor:.6g}us"
    if isinstance(words, Mapping):
        return {key: times(value, factor) for key, value in words.items()}
    return [times(value, factor) for value in words] if isinstance(words, list) else words


Live = Callable[[Scenario, Path], RunResult]


def _play_live(scenario: Scenario, out: Path) -> RunResult:
    return run(scenario, on="live", out=out, closely=True)


class Validator:
    """Plays pairs with the costs of one calibration. `speed` is that of the server of the last live run: how many times
    as long the fixed work took as while the costs were measured."""

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

    def wavers(self, live: Sequence[Lived]) -> Calibration:
        """The calibration, with the speed as it has wavered in these runs: that is none of the costs, and another one
        an hour later."""
        costs = {word: cost for word, cost in self.calibration.costs.items() if word not in PACES}
        pace = pace_of([took_s for lived in live for took_s in lived.glances_s], GLANCE_EVERY_S)
        return msgspec.structs.replace(self.calibration, costs=costs if pace is None else costs | wavering(pace))

    def stolen_s(self) -> float:
        """For how long the host has run other guests so far where server and crowd run (s)."""
        return stolen_s(cores() or ())

    def simulated(
        self,
        scenario: Scenario,
        speed: float,
        late: Lateness = ON_TIME,
        *,
        seed: int | None = None,
        changes: Mapping[str, Any] | None = None,
    ) -> Sight:
        """The scenario in simulation on a machine that is so much slower than usual, with a crowd that is so late
        and so busy."""
        words = {
            "costs": times(self.calibration.costs, speed),
            **{f"groups.{group.name}.network": {"latency": f"{self.path_s * speed:.9f}s"} for group in scenario.groups},
            **(changes or {}),
        }
        told = scenario.with_(words)
        seen = sight(play(told if seed is None else told.with_seed(seed), late=late), late)
        # A silent server does something too, and where it is busy it does that beside.
        overhead = self.calibration.measured["overhead"].value
        busy = seen.utilisation + overhead * max(0.0, 1.0 - seen.utilisation)
        return msgspec.structs.replace(seen, utilisation=busy)

    def _all(
        self,
        calibration: Calibration,
        plays: Iterable[tuple[Scenario, float, Lateness, int | None, dict[str, Any]]],
    ) -> list[Sight]:
        """Many in simulation, as many at a time as there are processors."""
        return list(
            Parallel(n_jobs=self.effort.jobs)(
                delayed(_simulated)(calibration, self.path_s, scenario, speed, late, seed, changes)
                for scenario, speed, late, seed, changes in plays
            )
        )

    def measure_path(self) -> str:
        """Find out what one way between server and crowd takes; returns why that failed, or nothing.

        Of a few runs the least counts: what else runs on the machine only ever adds to it.
        """
        scenario = Scenario.of(FLOOR)
        found = []
        for _ in range(FLOOR_RUNS):
            with tempfile.TemporaryDirectory(prefix="chatsim-validate-") as name:
                lived, why = self.live(scenario, Path(name))
            if lived is None:
                return why
            self.path_s = 0.0
            told = self.simulated(scenario, lived.speed, lived.late)
            over = np.median(lived.sight.latencies["delivery_latency"]) - np.median(told.latencies["delivery_latency"])
            found.append(max(0.0, float(over)) / 2 / lived.speed)
        self.path_s = min(found)
        return ""

    def loaded(self, scenario: Scenario, speed: float) -> Scenario:
        """The scenario whose first group speaks so often that the node is as busy as the pair says."""
        wanted, group = load_of(scenario), scenario.groups[0]
        told, factor = scenario, 1.0
        for _ in range(RATE_STEPS):
            factor *= wanted / self.simulated(told, speed).utilisation
            told = scenario.with_(_faster(group.name, scenario, factor))
        return told

    def live(self, scenario: Scenario, out: Path) -> tuple[Lived | None, str]:
        """One live run, the calmest of those that it took, or why there is none that may be judged."""
        why, calmest = "", None
        for _ in range(self.effort.attempts):
            stolen_before_s, began_at = self.stolen_s(), time.monotonic()
            result = self._play_live(scenario, out)
            stolen = (self.stolen_s() - stolen_before_s) / (time.monotonic() - began_at)
            glances_s = [took_s for _, took_s in result.glances]
            # What a run takes is a sum, so it is the mean that counts.
            self.speed = fmean(glances_s) / self.calibration.reference.median_s if glances_s else 1.0
            share = crowd_share(result)
            if result.violations:
                return None, f"invariants do not hold: {' '.join(f'{each}' for each in result.violations)}"
            if result.valid and share <= CROWD_SHARE_MAX:
                if calmest is None or stolen < calmest.stolen:
                    late = lateness(result)
                    seen = sight(result, late=late)
                    calmest = Lived(seen, self.speed, late, _again(result), stolen, glances_s)
                if stolen <= STOLEN_MAX:
                    break
                continue
            why = result.why_invalid or (
                f"the crowd's process was busy for {share:.0%} of the time, and what is seen is its own queue: give it "
                "a core that is faster, or the pair a lower load"
            )
            if not (result.busy or result.valid):
                break
        return calmest, "" if calmest else why

    def pair(self, scenario: Scenario) -> Pair:
        """Play one pair, and judge it."""
        told = self.loaded(scenario, self.speed)
        live: list[Lived] = []
        with tempfile.TemporaryDirectory(prefix="chatsim-validate-") as name:
            for _ in range(self.effort.live):
                lived, why = self.live(told, Path(name))
                if lived is None:
                    return Pair(name=scenario.name, judged=None, why=why)
                live.append(lived)
        sides = [lived.sight for lived in live]
        calibration = self.wavers(live)
        simulated = self._all(calibration, ((told, lived.speed, lived.late, None, {}) for lived in live))
        speed = fmean(lived.speed for lived in live)
        seeds = [scenario.seed + 1000 + number for number in range(self.effort.replications)]
        # Other messages are as late as those of a live run that were meant for about the same moments.
        lates = [live[number % len(live)].late for number in range(len(seeds))]
        luck = zip(seeds, lates, strict=True)
        others = self._all(calibration, ((told, speed, late, seed, {}) for seed, late in luck))
        counts = differences(sides, simulated)
        for lived in live:
            counts |= lived.counts
        return Pair(
            name=scenario.name,
            judged=judged(scenario.name, load_of(scenario), sides, simulated, others, counts),
            live=sides,
            simulated=simulated,
            controls=self._controls(calibration, told, live),
            speeds=[lived.speed for lived in live],
            stolen=[lived.stolen for lived in live],
        )

    def _controls(self, calibration: Calibration, scenario: Scenario, live: Sequence[Lived]) -> dict[str, bool]:
        """Simulations that are wrong on purpose, where this pair can show it, and whether each was found out."""
        sides, name = [lived.sight for lived in live], scenario.name
        found = {}
        if load_of(scenario) >= FULL_LOAD:
            wrong = self._all(
                calibration,
                ((scenario, lived.speed * COSTLIER, lived.late, None, {}) for lived in live),
            )
            said = {test.metric: test.equivalent for test in judged(name, load_of(scenario), sides, wrong).tests}
            tails = [said[metric] for metric in ("delivery_latency_p95", "delivery_latency_p99") if metric in said]
            found[f"costs x {COSTLIER:g} ({name})"] = not said["utilisation"] and not all(tails)
        rarer = {"handler.ping_interval": f"{scenario.handler.ping_interval_s * 1.5:g}s"}
        for counter, kind, changes in (("pings", "pings half as far apart again", rarer), ("retries", *_NO_RETRY)):
            if sides[0].counts[counter] > NEAR_COUNT:
                wrong = self._all(calibration, ((scenario, lived.speed, lived.late, None, changes) for lived in live))
                found[f"{kind} ({name})"] = counter in differences(sides, wrong)
        return found


_NO_RETRY: Final[tuple[str, dict[str, Any]]] = ("no retry", {"handler.retries": 0})


def _simulated(
    calibration: Calibration,
    path_s: float,
    scenario: Scenario,
    speed: float,
    late: Lateness,
    seed: int | None,
    changes: dict[str, Any],
) -> Sight:
    """One in simulation, wherever this is called."""
    return Validator(calibration, FULL, path_s).simulated(scenario, speed, late, seed=seed, changes=changes)


def differences(live: Sequence[Sight], simulated: Sequence[Sight]) -> dict[str, tuple[int, int]]:
    """Counters that should be the same, or near, and are not: (live, simulated)."""
    found = {}
    for real, told in zip(live, simulated, strict=True):
        for name in (*SAME, *NEAR):
            a, b = real.counts[name], told.counts[name]
            allowed = max(NEAR_SHARE * max(a, b), NEAR_COUNT) if name in NEAR else 0
            if abs(a - b) > allowed:
                found[name] = (a, b)
    return found


def crowd_share(result: RunResult) -> float:
    """For which share of the time the crowd of a live run was busy while people acted; 0 where nobody has told."""
    spent_s: float = result.health.get("crowd_cpu_s", 0.0)
    return spent_s / result.record.duration_s


def lateness(result: RunResult) -> Lateness:
    """By how much the crowd of a live run was late in writing, and what each frame took it that it read, or wrote; in
    a run of another wire nobody is, and nothing takes anything."""
    told = result.health
    wrote_s = told.get("crowd_wrote_s", 0.0)
    busy = {
        "reads_s": (told.get("crowd_cpu_s", 0.0) - wrote_s) / max(told.get("frames_out", 0), 1),
        "writes_s": wrote_s / max(told.get("frames_in", 0), 1),
    }
    meant_at = np.array([sent.intended_at for sent in result.record.sent])
    late_s = np.array(result.late_s, dtype=np.float64)
    return Lateness(meant_at, late_s, **busy) if late_s.size else ON_TIME._replace(**busy)


def sight(result: RunResult, late: Lateness = ON_TIME) -> Sight:
    """What is compared of one run, whose crowd was so late in writing.

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
    warm, warm_acked = sent_at[place] >= record.warmup_s, sent_at[acked] >= record.warmup_s
    return Sight(
        moments={"delivery_latency": sent_at[place][warm], "ack_latency": sent_at[acked][warm_acked]},
        latencies={"delivery_latency": heard_s[warm], "ack_latency": acked_s[warm_acked]},
        utilisation=record.utilisation[0],
        counts=_counted(result),
    )


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


def _again(result: RunResult) -> dict[str, tuple[int, int]]:
    """What was counted otherwise when the arrivals of a live run came again; nothing where a peer's slowness cannot."""
    assert result.path is not None
    try:
        return play_again(result.path / "journal.jsonl").differences
    except UsageError:
        return {}


_APART: Final = (
    "Server and crowd of each live run had a core of their own, as while the costs were measured: left to itself this "
    "system may put both on one."
)
_TOGETHER: Final = (
    "Server and crowd of each live run had to share what cores there are, so that each may have waited for the other, "
    "which no simulation knows of."
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
    notes = [_APART if cores() else _TOGETHER]
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
            f"The servers took {min(speeds):.2f} to {max(speeds):.2f} times as long for the fixed work as while they "
            "were calibrated; each simulation was played at the speed of its live run."
        )
        most = max(stolen for pair in found for stolen in pair.stolen)
        notes.append(
            f"Of the live runs that are judged the host gave up to {most:.1%} of the time to other guests; a run with "
            f"more than {STOLEN_MAX:.1%} was played again, {effort.attempts} times at most, and the calmest counts."
        )
    controls = {name: turned for pair in found for name, turned in pair.controls.items()}
    if not names and not interrupted:
        # A reach without a control would be none.
        controls |= {kind: False for kind in CONTROLS if not any(name.startswith(kind) for name in controls)}
    return Shown(
        pairs=[pair.judged for pair in found if pair.judged is not None],
        sights={pair.name: (pair.live, pair.simulated) for pair in found if pair.judged is not None},
        unjudged={pair.name: pair.why for pair in found if pair.judged is None},
        controls=controls,
        machine=machine(),
        notes=notes,
        interrupted=interrupted,
    )


def _word(pair: Pair) -> str:
    if pair.judged is None:
        return f" could not be judged: {pair.why}"
    off = [f"{test.metric} {test.ratio:.2f} [{test.low:.2f}, {test.high:.2f}]" for test in pair.judged.tests]
    off = [text for text, test in zip(off, pair.judged.tests, strict=True) if not test.equivalent]
    off += [f"{name} {was} against {now}" for name, (was, now) in pair.judged.counts.items()]
    return f" is not equivalent: {', '.join(off)}" if off else " is equivalent"
