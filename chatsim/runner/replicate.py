"""The same scenario many times, each time with other luck: a fixed number, until it is precise, or until it is decided.

Decides when there are enough. Rule: everything is checked before anything is played; what is found depends neither on
the number of processes nor on how many are played at once. Processes are joblib's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from math import isnan
from typing import Final, Literal

from joblib import Parallel

from chatsim.analysis.compared import Compared
from chatsim.analysis.missed import Missed
from chatsim.analysis.numbers import Replication, name_of, names, quantile_of, wanted
from chatsim.analysis.quantiles import smallest_n
from chatsim.analysis.replicated import Replicated
from chatsim.analysis.sequential import Precision, stopping
from chatsim.analysis.slo import FIRST, N_MAX, Looks
from chatsim.errors import UsageError
from chatsim.runner.desk import WIRES, Played, load
from chatsim.runner.pool import playing, processes
from chatsim.runner.progress import bar
from chatsim.runner.replication import check_held
from chatsim.scenario.model import Scenario
from chatsim.verdict.again import Source
from chatsim.verdict.wires import played_as

REPLICATIONS: Final = 10
"""Fewer have intervals so wide that little can be said."""


def replicate(
    scenario: Played,
    n: int | Literal["auto"] | None = None,
    *,
    until: Precision | None = None,
    metrics: Iterable[str] = (),
    on: str = "sim",
    fidelity: str = "full",
    jobs: int = -1,
    progress: bool | Callable[[int], None] | None = None,
) -> Replicated:
    """Play it `n` times (10), `until` the mean of each of `metrics` is precise, or with "auto" until every expectation
    is decided, 80 times at most. `jobs` is how many processes play, -1 one for each processor.

    `metrics` is a list of names; without it the metrics of the expectations are meant. An expectation of a quantile
    that a run has too few messages for is not decided, however many are played; what is not precise after `n_max` is in
    `missed` of what is returned. `progress` is a bar (True), or hears how many are done.
    Raises UsageError for what cannot be played, and for a quantile that shall be precise and has too few messages;
    HarnessError where a run fails or is not valid, with its seed.
    """
    on = played_as(on, fidelity)
    played = load(scenario)
    if on not in WIRES:
        raise UsageError(f"on={on!r}: replications are played in virtual time, on sim or virtual")
    if until is not None and not isinstance(until, Precision):
        raise UsageError(f"until={until!r}: say how precise it shall be, such as Precision(relative=0.05)")
    if n not in (None, "auto") and type(n) is not int:
        raise UsageError(f"n={n!r}: give a whole number of replications, or 'auto'")
    if n is not None and until is not None:
        raise UsageError(f"n={n!r} and until= are two answers to how many: give one of them")
    if isinstance(n, int) and n < 2:
        raise UsageError(f"{n} replications have no interval: 2 would do, {REPLICATIONS} make it useful")
    chosen = wanted(metrics, names(group.name for group in played.groups))
    if until is not None and not chosen:
        chosen = _promised(played)
    with _told(progress, n if isinstance(n, int) else 0) as told, processes(jobs) as pool:
        runs = _Runs(played, on, pool, told)
        if until is not None:
            return _until(runs, until, chosen)
        if n == "auto":
            return _decided(runs)
        runs.extend_to(REPLICATIONS if n is None else n)
        return runs.judged(Looks(first=len(runs.found), n_max=len(runs.found), expectations=len(played.expect)))


def compare(
    a: Played,
    b: Played,
    n: int = REPLICATIONS,
    *,
    on: str = "sim",
    fidelity: str = "full",
    jobs: int = -1,
    progress: bool | Callable[[int], None] | None = None,
) -> Compared:
    """How b differs from a, over n pairs that share their luck: b is played from the seed of a.

    Raises UsageError, before anything is played, for what cannot be; HarnessError where a run fails or is not valid,
    BrokenPromiseError where an invariant does not hold in one, with its seed.
    """
    number: object = n
    if type(number) is not int:
        raise UsageError(f"n={n!r}: give a whole number of pairs, since a comparison has no verdict that could end it")
    first = load(a)
    second = load(b).with_seed(first.seed)
    on = played_as(on, fidelity)
    with _told(progress, 2 * n) as told:
        one = replicate(first, n, on=on, jobs=jobs, progress=told)
        other = replicate(second, n, on=on, jobs=jobs, progress=lambda done: told(n + done))
    for scenario, found in ((first, one), (second, other)):
        for made in found.replications:
            check_held(scenario, made)
    return Compared(one, other)


@contextmanager
def _told(progress: object, total: int) -> Iterator[Callable[[int], None]]:
    """Who is told how many are done, of so many (0: that is not known). Raises UsageError."""
    if callable(progress):
        yield progress
    elif progress is None or isinstance(progress, bool):
        with bar("replications", shown=bool(progress)) as shown:
            yield lambda done: shown(done, total)
    else:
        raise UsageError(f"progress={progress!r}: give True for a bar, or a function of how many are done")


class _Runs:
    """The replications so far."""

    def __init__(self, scenario: Scenario, wire: str, pool: Parallel, progress: Callable[[int], None]) -> None:
        self.scenario = scenario
        self.wire = wire
        self.found: list[Replication] = []
        self._pool = pool
        self._progress = progress

    def extend_to(self, n: int) -> None:
        """Play on until there are n."""
        numbers = range(len(self.found), n)
        with playing(self._pool, self.wire, [(number, (self.scenario, number)) for number in numbers]) as results:
            for _, made in results:
                self.found.append(made)
                self._progress(len(self.found))

    def judged(self, looks: Looks) -> Replicated:
        """All of them as one finding."""
        source = Source.of(self.scenario)
        return Replicated(self.scenario.name, self.wire, self.found, self.scenario.expect, looks, source)


def _until(runs: _Runs, precision: Precision, metrics: list[str]) -> Replicated:
    runs.extend_to(precision.first)
    while True:
        found = runs.judged(_one_look(runs))
        for metric in metrics:
            _check_samples(found, metric)
        stops = {metric: stopping(found.values(metric), precision, independent=True) for metric in metrics}
        more = max(stop.more for stop in stops.values())
        if not more:
            found.missed = tuple(
                Missed(metric, precision, stop.interval, stop.reached_n)
                for metric, stop in stops.items()
                if stop.is_capped and stop.interval is not None
            )
            return found
        runs.extend_to(len(runs.found) + more)


def _check_samples(found: Replicated, metric: str) -> None:
    """Raise UsageError for a number without a sample in some run, which is never precise, and for a quantile of fewer
    samples than can bound it: it would be precise, and too low."""
    without = sum(map(isnan, found.values(metric)))
    if without:
        raise UsageError(
            f"{metric} has no sample in {without} of {len(found)} runs, and cannot be precise: make the runs longer, "
            "or name another number"
        )
    quantile = quantile_of(metric)
    if quantile is None:
        return
    q, counted = quantile
    fewest, least = found.values(counted).min(), smallest_n(q)
    if fewest < least:
        raise UsageError(
            f"{metric} is of {fewest:.0f} samples in a run, too few for the quantile {q:g}: {least} would do, so make "
            "the runs longer or name a lower quantile"
        )


def _promised(scenario: Scenario) -> list[str]:
    """The numbers that the expectations are about, but for counts, which are mostly to be equal to something."""
    names = [name_of(e.metric, e.aggregate, e.group) for e in scenario.expect if e.aggregate not in (None, "count")]
    if not names:
        raise UsageError(
            f"no expectation of {scenario.name} has a metric to be precise about: name some, such as "
            "metrics=['delivery_latency_p99_s']"
        )
    return list(dict.fromkeys(names))


def _one_look(runs: _Runs) -> Looks:
    n = len(runs.found)
    return Looks(first=n, n_max=n, expectations=len(runs.scenario.expect))


def _decided(runs: _Runs) -> Replicated:
    looks = Looks(first=FIRST, n_max=N_MAX, expectations=len(runs.scenario.expect))
    runs.extend_to(FIRST)
    while True:
        found = runs.judged(looks)
        more = max(ruling.more for ruling in found.rulings)
        # One that fails decides the scenario, whatever the others would come to.
        if not more or found.verdict == "fail":
            return found
        runs.extend_to(len(runs.found) + more)
