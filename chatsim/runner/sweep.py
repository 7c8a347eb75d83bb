"""A scenario at every point of a grid, many times each, on every processor or on a cluster.

Decides which points there are, and what of them need not be played again. Rule: everything is checked before anything
is played, and all that is wrong is said at once; every point has the same luck, replication by replication, so that
points differ by what is swept alone; the table is the same whoever played what, and in which order. Processes and
clusters are joblib's: a `joblib.parallel_config` around it is honoured.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from chatsim.analysis.numbers import Replication, names, wanted
from chatsim.analysis.replicated import Replicated
from chatsim.analysis.slo import Looks
from chatsim.analysis.swept import Point, Sweep, shown, swept
from chatsim.errors import HarnessError, UsageError
from chatsim.runner.desk import WIRES, Played, load
from chatsim.runner.kept import Kept, key_of
from chatsim.runner.pool import PlaceError, check_jobs, playing, processes
from chatsim.runner.progress import bar
from chatsim.runner.replication import check_held, seed_of
from chatsim.scenario.faults import FaultsError
from chatsim.scenario.model import Scenario
from chatsim.verdict.again import Source
from chatsim.verdict.wires import played_as

REPLICATIONS: Final = 10
"""Fewer have intervals so wide that little can be said."""

SAID_MAX: Final = 20
"""So many problems are said; a grid may have thousands."""

Told = Callable[[int, int], None]
"""Told how many replications are done, and of how many."""


_UNFINISHED: dict[str, dict[int, Replication]] = {}
"""What the last sweep that came to no end and was kept nowhere has played, by the key of its point and the number of
the replication. Of one sweep only, which held it in memory anyway."""


class DamagedFileWarning(UserWarning):
    """Files of an earlier sweep could not be read, and what they held was played again."""


def sweep(
    scenario: Played,
    grid: Mapping[str, Iterable[Any]],
    *,
    replications: int = REPLICATIONS,
    metrics: Iterable[str] = (),
    on: str = "sim",
    fidelity: str = "full",
    jobs: int = -1,
    keep: str | Path | None = None,
    progress: bool | Told = True,
) -> Sweep:
    """Play it at every point of the grid (full factorial, the last path changes fastest): a DataFrame with a row for
    each point and metric, `mean`, `low` and `high` (95 %) over `n` replications.

    `grid` maps paths of `Scenario.with_` to lists of what a file would say: `{"handler.rate_limit": ["30/min",
    "60/min"]}`. `metrics` are the numbers that are wanted, by name or as an expectation writes them; without any, all.
    `jobs` is how many processes play, -1 one for each processor. `keep` names a folder for what is done: an interrupted
    sweep goes on from there, and a larger one plays only what is new. Without it what an interrupted sweep has played
    is remembered by this process alone, until the same call has come to its end or another sweep is interrupted.
    `progress` is a bar in a terminal or a notebook (True), nothing (False), or a function of done and total.

    Raises UsageError with all that is wrong with the grid before anything is played; HarnessError where a run fails or
    is not valid, BrokenPromiseError where an invariant does not hold in it, with its point and seed. What ends it in
    the middle has a note that says how to go on. Files that were damaged are a DamagedFileWarning.
    """
    on = played_as(on, fidelity)
    played = load(scenario)
    if on not in WIRES:
        raise UsageError(f"on={on!r}: a sweep is played in virtual time, on sim or virtual")
    check_jobs(jobs)
    if type(replications) is not int:
        raise UsageError(f"replications={replications!r}: give a whole number")
    if replications < 2:
        raise UsageError(f"{replications} replications have no interval: 2 would do, {REPLICATIONS} make it useful")
    if keep is not None and not isinstance(keep, str | Path):
        raise UsageError(f"keep={keep!r}: name a folder")
    told_to: object = progress
    if not callable(told_to) and not isinstance(told_to, bool):
        raise UsageError(f"progress={progress!r}: give True for a bar, False, or a function of done and total")
    points, scenarios = _checked(played, grid)
    known = list(dict.fromkeys(name for each in scenarios for name in names(group.name for group in each.groups)))
    chosen = wanted(metrics, known)
    work = _Work(points, scenarios, on, replications, None if keep is None else Kept(Path(keep)))
    with ExitStack() as stack:
        told = progress if callable(progress) else stack.enter_context(bar("replications", shown=progress))
        work.play(jobs, told)
    if work.kept is not None and work.kept.damaged:
        files = ", ".join(path.name for path in work.kept.damaged[:3])
        more = "" if len(work.kept.damaged) <= 3 else f" and {len(work.kept.damaged) - 3} more"
        warnings.warn(f"{work.kept.folder}: {files}{more} was damaged and played again", DamagedFileWarning, 2)
    return swept(points, work.found(), chosen or known)


def _checked(scenario: Scenario, grid: Mapping[str, Iterable[Any]]) -> tuple[list[Point], list[Scenario]]:
    """Every point, and the scenario there. Raises UsageError with all that is wrong."""
    values = _values(grid)
    problems: list[str] = []
    lost: list[str] = []
    for path, choices in values.items():
        try:
            scenario.with_({path: choices[0]})
        except FaultsError:
            pass  # the value may be good beside another one of the grid
        except UsageError as problem:
            problems.append(str(problem))
            lost.append(path)
    # A path that leads nowhere hides nothing of what is wrong with the others.
    values = {path: choices for path, choices in values.items() if path not in lost}
    problems += _same_places(scenario, list(values))
    points: list[Point] = [
        dict(zip(values, combination, strict=True)) for combination in itertools.product(*values.values())
    ]
    scenarios = []
    said: dict[str, list[Point]] = {}
    for point in points:
        try:
            scenarios.append(scenario.with_(point))
        except UsageError as problem:
            for line in str(problem).splitlines():
                said.setdefault(line, []).append(point)
    problems += [f"{line} ({_where(at, values)})" for line, at in said.items()]
    _raise_if(problems or _twins(points, scenarios))
    return points, scenarios


def _same_places(scenario: Scenario, paths: Sequence[str]) -> list[str]:
    """Which paths lead to the same place, or one into what the other puts there: a column of the table would lie."""
    places = {path: scenario.place_of(path) for path in paths}
    return [
        f"{one} and {other} change the same place: leave one of them out"
        for one, other in itertools.combinations(paths, 2)
        if all(a == b for a, b in zip(places[one], places[other], strict=False))
    ]


def _values(grid: Mapping[str, Iterable[Any]]) -> dict[str, list[Any]]:
    """The grid with plain values. Raises UsageError where it is none."""
    example = 'such as {"handler.rate_limit": ["30/min", "60/min"]}'
    given: object = grid
    if not isinstance(given, Mapping) or not given:
        raise UsageError(f"a sweep wants a grid, a list of values for each path, {example}")
    values: dict[str, list[Any]] = {}
    problems = []
    for path, choices in grid.items():
        single = isinstance(choices, str | bytes | Mapping) or not isinstance(choices, Iterable)
        # An array without an axis only looks as if it could be gone through.
        if single or getattr(choices, "ndim", 1) == 0:
            problems.append(f"{path}: {choices!r} is one value: give a list of them, {example}")
            continue
        # What NumPy and pandas count with is said as a file says it.
        values[path] = [choice.tolist() if hasattr(choice, "tolist") else choice for choice in choices]
        if not values[path]:
            problems.append(f"{path}: the list is empty, so that there is no point: give it a value")
    _raise_if(problems)
    return values


def _where(at: Sequence[Point], values: Mapping[str, Sequence[Any]]) -> str:
    """Where a problem is: at the values that all of its points share."""
    shared = [path for path in values if all(point[path] == at[0][path] for point in at) and len(values[path]) > 1]
    return _said({path: at[0][path] for path in shared or values})


def _said(point: Point) -> str:
    return ", ".join(f"{path}={shown(value)}" for path, value in point.items())


def _raise_if(problems: Sequence[str]) -> None:
    """Raise UsageError with these, where there are any."""
    more = [f"and {len(problems) - SAID_MAX} more"] if len(problems) > SAID_MAX else []
    if problems:
        raise UsageError("\n".join([*problems[:SAID_MAX], *more]))


def _twins(points: Sequence[Point], scenarios: Sequence[Scenario]) -> list[str]:
    """Which points are the same scenario: one of them is not what was meant."""
    first: dict[str, Point] = {}
    problems = []
    for point, scenario in zip(points, scenarios, strict=True):
        key = key_of(scenario, "")
        if key in first:
            problems.append(f"{_said(first[key])} and {_said(point)} are the same scenario: leave one of them out")
        first.setdefault(key, point)
    return problems


class _Work:
    """What is to be played, and what has been."""

    def __init__(
        self, points: Sequence[Point], scenarios: Sequence[Scenario], wire: str, replications: int, kept: Kept | None
    ) -> None:
        self.points = points
        self.scenarios = scenarios
        self.wire = wire
        self.replications = replications
        self.kept = kept
        self._done: list[dict[int, Replication]] = [{} for _ in points]
        self._keys: dict[tuple[int, int], str] = {}
        self._points = [key_of(scenario, wire) for scenario in scenarios]

    def play(self, jobs: int, told: Told) -> None:
        """Play what is neither on disk nor remembered. Whatever ends it in the middle says how to go on."""
        left = [job for job in itertools.product(range(len(self.points)), range(self.replications)) if self._plays(job)]
        total = len(self.points) * self.replications
        done = total - len(left)
        told(done, total)
        # In the order in which they end, so that what is done is kept at once.
        tasks = [((at, number), (self.scenarios[at], number)) for at, number in left]
        try:
            if tasks:
                with processes(jobs, ordered=False) as pool, playing(pool, self.wire, tasks) as results:
                    for (at, number), made in results:
                        check_held(self.scenarios[at], made, f" (at {_said(self.points[at])})")
                        self._keep(at, number, made)
                        done += 1
                        told(done, total)
        except PlaceError as error:
            failed = HarnessError(f"{error} (at {_said(self.points[error.place[0]])})")
            self._remember(failed, done, total)
            raise failed from error
        except BaseException as error:
            self._remember(error, done, total)
            raise
        # What is told of in a table need not be remembered.
        for key in self._points:
            _UNFINISHED.pop(key, None)

    def _remember(self, error: BaseException, done: int, total: int) -> None:
        """Hold what is done, unless it is on disk, and note on the error how to go on."""
        if not done:
            return
        if self.kept is not None:
            where = f"kept in {self.kept.folder}"
        else:
            _UNFINISHED.clear()
            _UNFINISHED.update(zip(self._points, self._done, strict=True))
            where = "remembered until this process ends (in a folder for longer, with keep=)"
        error.add_note(f"{done} of {total} replications are {where}: the same call goes on there")

    def found(self) -> list[Replicated]:
        """The replications of each point, in their order."""
        looks = Looks(first=self.replications, n_max=self.replications)
        return [
            Replicated(
                each.name, self.wire, [done[number] for number in sorted(done)], each.expect, looks, Source.of(each)
            )
            for each, done in zip(self.scenarios, self._done, strict=True)
        ]

    def _plays(self, job: tuple[int, int]) -> bool:
        """Whether it must be played, because it is neither on disk nor remembered."""
        at, number = job
        scenario = self.scenarios[at]
        if self.kept is None:
            remembered = _UNFINISHED.get(self._points[at], {}).get(number)
            if remembered is not None:
                self._done[at][number] = remembered
            return remembered is None
        key = self._keys[job] = key_of(scenario.with_seed(seed_of(scenario.seed, number)), self.wire)
        found = self.kept.find(key, number)
        if found is not None:
            self._done[at][number] = found
        return found is None

    def _keep(self, at: int, number: int, made: Replication) -> None:
        self._done[at][number] = made
        if self.kept is not None:
            about = {"scenario": self.scenarios[at].name, "wire": self.wire, "replication": number}
            grid = {path: shown(value) for path, value in self.points[at].items()}
            self.kept.keep(self._keys[at, number], made, about | {"point": grid})
