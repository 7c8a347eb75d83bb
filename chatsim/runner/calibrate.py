"""A calibration from end to end: measured, reckoned, and put into the words of a scenario.

Decides how a cost is spelled. Rule: a cost's mean is the one that was measured, whatever its shape; what has no shape
of its own is a constant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import Any, Final

import numpy as np

from chatsim.analysis.costing import Cost, Costing, costing
from chatsim.analysis.fits import LEVELS as QUANTILES
from chatsim.analysis.fits import Line, Median, Shape, median_of
from chatsim.analysis.pace import Pace
from chatsim.errors import HarnessError
from chatsim.live.calibration.measure import LEVELS
from chatsim.live.calibration.meters import CLOCK_STEP_S, machine, versions
from chatsim.live.calibration.seen import Measured
from chatsim.scenario.costs import COMMIT_BUSY, FINER, OF_COMMITS, TIMER_STEP, WORDS
from chatsim.store.calibration import Calibration, Estimate, Fit, LineFit, Reference

REFERENCE_QUANTILES: Final = 201
"""So many quantiles tell the reference's commits: a half of a percent apart."""

CV_MIN: Final = 0.01
"""Less spread than this is none."""

_LINES: Final[Mapping[str, str]] = {
    "batch": "what a turn's writing costs the loop, over the connections written to",
    "commit": "what a commit costs the log's thread, over the records in it",
}


def calibration(measured: Measured, *, chatsim: str, made_at: str, quick: bool, journal: bool) -> Calibration:
    """The file of what was measured; `chatsim` is its version, `made_at` the date.

    Raises HarnessError where one of the costs that every node has could not be told at all.
    """
    found = costing(measured)
    missing = [word for word in WORDS if word not in found.costs]
    if missing:
        raise HarnessError(f"What {', '.join(missing)} cost could not be told: calibrate again, on a quieter machine.")
    spelled: dict[str, Any] = {
        word: words_of(found.costs[word]) for word in (*WORDS, *FINER, *OF_COMMITS) if word in found.costs
    }
    for word, after_s in (("cold", found.cold_after_s), ("commit_cold", found.commit_cold_after_s)):
        if word in spelled:
            # Told in another unit than the costs are, since it is none: no factor of theirs counts for it.
            spelled[f"{word}_after"] = f"{after_s * 1e3:.4g}ms"
    spelled[TIMER_STEP] = f"{CLOCK_STEP_S * 1e3:g}ms"
    if found.commit_busy is not None:
        spelled[COMMIT_BUSY] = float(f"{found.commit_busy.value:.4g}")
    if found.collected:
        spelled["collect"] = _collecting(found)
    if found.pace is not None:
        spelled |= wavering(found.pace)
    reference = measured.reference_s
    return Calibration(
        chatsim=chatsim,
        made_at=made_at,
        quick=quick,
        journal=journal,
        rounds=len(measured.rounds),
        levels=list(LEVELS),
        machine=machine(),
        versions=versions(),
        reference=Reference(
            median_s=median(reference),
            all_s=reference,
            drift=found.drift,
            commits_s=_evenly(measured.commits_s),
        ),
        unexplained=found.unexplained,
        costs=spelled,
        measured=_measured(found),
        fits={name: _line(name, line, found.points[name]) for name, line in found.fits.items()},
        warnings=found.warnings,
    )


def uncertain(made: Calibration) -> list[str]:
    """Those of the costs that every node has whose interval reaches down to nothing: they say nothing."""
    return [word for word in WORDS if made.measured[word].low <= 0.0]


def _evenly(values_s: Sequence[float]) -> list[float]:
    """The quantiles of the values, evenly from the least to the greatest (s), or nothing where there is none."""
    if not values_s:
        return []
    return [float(f"{each:.4g}") for each in np.quantile(values_s, np.linspace(0.0, 1.0, REFERENCE_QUANTILES))]


def words_of(cost: Cost) -> Any:
    """A cost as a scenario spells it."""
    shape = cost.shape
    if shape is None or cost.value == 0.0 or shape.cv < CV_MIN:
        return _us(cost.value)
    if shape.family == "empirical":
        return _bins(shape, cost.value)
    return {shape.family: {"mean": _us(cost.value), "cv": float(f"{shape.cv:.3g}")}}


def _bins(shape: Shape, mean_s: float) -> Any:
    """Stretches between quantiles, made so much longer or shorter that the mean is this one (s)."""
    weights = [round(high - low, 6) for low, high in pairwise(QUANTILES)]
    bins = list(zip(weights, pairwise(shape.edges), strict=True))
    now_s = sum(weight * (low + high) / 2 for weight, (low, high) in bins)
    at = [_us(edge * mean_s / now_s) for edge in shape.edges]
    told = [
        {"weight": weight, "uniform": {"low": low, "high": high}}
        for weight, (low, high) in zip(weights, pairwise(at), strict=True)
    ]
    return {"mixture": told}


def _collecting(found: Costing) -> Any:
    """The cycle collector's pauses, in the order in which they were seen in a fresh server."""
    first, every = found.collected_at
    return {"first": first, "every": every, "pauses": [_us(took_s) for took_s in found.collected]}


def wavering(pace: Pace) -> dict[str, Any]:
    """How the machine's speed wavers: equally probable levels, each held for a random time."""
    paces = {"mixture": [{"weight": 1, "constant": float(f"{level:.4g}")} for level in pace.levels]}
    return {"pace": paces, "pace_hold": {"exponential": {"mean": f"{pace.hold_s * 1e3:.3g}ms"}}}


def _us(value_s: float) -> str:
    return f"{value_s * 1e6:.4g}us"


def _measured(found: Costing) -> dict[str, Estimate]:
    made = {name: _estimate(cost.says, "s", cost.seen, cost.shape) for name, cost in found.costs.items()}
    says = "share of a processor that a server uses which nobody says anything to"
    made["overhead"] = _estimate(says, "share", found.overhead)
    for server, memory in found.memory_bytes.items():
        made[f"memory_{server}"] = _estimate(
            f"resident memory of a joined, silent {server} connection", "bytes", memory
        )
    if found.elasticity is not None:
        says = "by which power the server is slower when the fixed work that it does meanwhile is"
        made["elasticity"] = _estimate(says, "power", found.elasticity)
    if found.commit_busy is not None:
        says = "which share of a commit its thread works, on the loop's core"
        made[COMMIT_BUSY] = _estimate(says, "share", found.commit_busy)
    if found.pace is not None:
        pace = found.pace
        says = "how the speed wavers within a second: coefficient of variation of what the same work takes"
        made["pace"] = _estimate(says, "share", Median(pace.cv, *pace.cv_within, pace.n))
        held = Median(pace.hold_s, *pace.hold_s_within, pace.n)
        made["pace_hold"] = _estimate("for how long the speed stays as it is", "s", held)
    if found.collected:
        pauses = median_of(found.collected)
        made["collect"] = _estimate("one run of the cycle collector, of its CPU time", "s", pauses)
    return made


def _estimate(says: str, unit: Any, seen: Median, shape: Shape | None = None) -> Estimate:
    fit = None
    if shape is not None:
        fit = Fit(family=shape.family, cv=shape.cv, distance=shape.distance, samples=shape.n, distances=shape.distances)
    return Estimate(says=says, unit=unit, value=seen.value, low=seen.low, high=seen.high, n=seen.n, fit=fit)


def _line(name: str, line: Line, points: list[tuple[float, float]]) -> LineFit:
    return LineFit(
        says=_LINES[name],
        intercept_s=line.intercept,
        slope_s=line.slope,
        r2=line.r2,
        worst=line.worst,
        points=points,
    )
