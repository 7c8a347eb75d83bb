"""Whether a simulation has predicted live runs: the judgement, of arrays and counts alone.

Decides when two distributions are as good as equal. Rule: equivalence has to be shown, by two one-sided tests (TOST:
Schuirmann 1987) on log ratios, live over simulated, of the same quantile in the same stretch of the same arrivals; what
is merely not known to differ is not equivalent. Counts that a rule fixes are equal or they are not.
How runs are played is left to `chatsim.runner.validate`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, log, nan, sqrt
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
from scipy import stats

FloatArray = npt.NDArray[np.float64]

BAND: Final = (0.8, 1.25)
"""Ratios inside are as good as 1 (evidence.md, "Simulation against live")."""

SMALL_S: Final = 0.0002
"""Latencies that differ by less are as good as equal, whatever their ratio."""

SHARP: Final = log(BAND[1]) / 2
"""Half an interval (of logarithms) that is wider than this tells little: in half of the band or more nothing could be
shown. So it is with half of `SMALL_S`, where that is what counts."""

ALPHA: Final = 0.05
"""Of each of the two tests: both hold where the interval of 1 - 2 * ALPHA lies inside the band."""

QUANTILES: Final[Mapping[str, float]] = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
METRICS: Final = ("delivery_latency", "ack_latency")
STRETCHES_S: Final = (1.0, 2.0, 4.0)
"""Quantiles are compared stretch by stretch, each of so many seconds of the run: the shortest of which every run has
two that say something. Where there is none, runs are compared as wholes."""

SAMPLES_MIN: Final = 20
"""A stretch with fewer latencies says nothing."""

SHARE_MIN: Final = 0.9
"""So many of the pairs have to be equivalent: 18 of 20."""


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen of one run: for each metric the intended moments (s, ascending or not) and the latencies (s), each
    float64 of shape (n,); the share of time for which the loop was busy; and what was counted."""

    moments: dict[str, FloatArray]
    latencies: dict[str, FloatArray]
    utilisation: float
    counts: dict[str, int]


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One number of a pair: live over simulated with the interval of 90 %, and the verdict. `live` and `simulated` are
    means over the runs (s, or shares), `noise` is how far apart two live runs were, as a ratio of 1 and more, `inside`
    says of each live run whether it lay in the simulation's prediction interval, and `sharp` whether the interval is
    narrow enough to tell, wherever it lies."""

    metric: str
    live: float
    simulated: float
    ratio: float
    low: float
    high: float
    equivalent: bool
    noise: float
    inside: tuple[bool, ...] = ()
    sharp: bool = True


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one pair. `counts` are those that differ, by name, as (live, expected); `wasserstein_s` is the
    distance of the delivery latencies."""

    name: str
    load: float
    tests: tuple[Compared, ...]
    counts: dict[str, tuple[int, int]]
    wasserstein_s: float

    @property
    def equivalent(self) -> bool:
        """Whether every number was shown to be as good as equal."""
        return bool(self.tests) and all(test.equivalent for test in self.tests)

    @property
    def sharp(self) -> bool:
        """Whether every interval is narrow enough to tell. It is no matter what it tells: who plays on until all are
        sharp has not looked at the verdict (Chow and Robbins, 1965: intervals of a fixed width)."""
        return all(test.sharp for test in self.tests)

    @property
    def equal(self) -> set[str]:
        """The numbers that were shown to be as good as equal."""
        return {test.metric for test in self.tests if test.equivalent}

    @property
    def unseen(self) -> list[str]:
        """The latencies that were too few to be judged."""
        seen = {test.metric for test in self.tests}
        return [metric for metric in METRICS if not any(f"{metric}_{quantile}" in seen for quantile in QUANTILES)]

    @property
    def counted(self) -> bool:
        """Whether every count that a rule fixes was equal."""
        return not self.counts


def judged(
    name: str,
    load: float,
    live: Sequence[Sight],
    simulated: Sequence[Sight],
    replications: Sequence[Sight] = (),
    counts: Mapping[str, tuple[int, int]] | None = None,
) -> Judged:
    """Judge one pair: each live run against the simulation of the same arrivals at the machine's speed of that moment.

    `replications` are simulations with other luck, for the prediction intervals; `counts` what was found to differ.
    """
    assert len(live) == len(simulated) > 0
    tests = [
        latency(metric, quantile, live, simulated, replications)
        for metric in METRICS
        for quantile in QUANTILES
        if all(one.latencies[metric].size >= SAMPLES_MIN for one in (*live, *simulated))
    ]
    tests.append(_utilisation(live, simulated, replications))
    return Judged(
        name=name,
        load=load,
        tests=tuple(tests),
        counts=dict(counts or {}),
        wasserstein_s=wasserstein(live, simulated),
    )


def latency(
    metric: str, quantile: str, live: Sequence[Sight], simulated: Sequence[Sight], replications: Sequence[Sight] = ()
) -> Compared:
    """One quantile of one latency, by stretches."""
    share = QUANTILES[quantile]
    pairs = _paired(metric, share, live, simulated)
    ratios = [np.log(pair[:, 0] / pair[:, 1]) for pair in pairs]
    apart = [pair[:, 0] - pair[:, 1] for pair in pairs]
    mean, half = interval(ratios)
    gap_s, gap_half_s = interval(apart)
    low, high = mean - half, mean + half
    near = log(BAND[0]) <= low and high <= log(BAND[1])
    small = abs(gap_s) + gap_half_s <= SMALL_S
    whole = [float(np.quantile(one.latencies[metric], share)) for one in live]
    told = [float(np.quantile(one.latencies[metric], share)) for one in simulated]
    other = [float(np.quantile(one.latencies[metric], share)) for one in replications if one.latencies[metric].size]
    return Compared(
        metric=f"{metric}_{quantile}",
        live=float(np.mean(whole)),
        simulated=float(np.mean(told)),
        ratio=float(np.exp(mean)),
        low=float(np.exp(low)),
        high=float(np.exp(high)),
        equivalent=bool(near or small),
        noise=_noise(whole),
        inside=_inside(whole, other),
        sharp=bool(half <= SHARP or gap_half_s <= SMALL_S / 2),
    )


def _utilisation(live: Sequence[Sight], simulated: Sequence[Sight], replications: Sequence[Sight]) -> Compared:
    real, told = [one.utilisation for one in live], [one.utilisation for one in simulated]
    mean, half = interval([np.array([log(a / b)]) for a, b in zip(real, told, strict=True)])
    return Compared(
        metric="utilisation",
        live=float(np.mean(real)),
        simulated=float(np.mean(told)),
        ratio=float(np.exp(mean)),
        low=float(np.exp(mean - half)),
        high=float(np.exp(mean + half)),
        equivalent=log(BAND[0]) <= mean - half and mean + half <= log(BAND[1]),
        noise=_noise(real),
        inside=_inside(real, [one.utilisation for one in replications]),
        sharp=half <= SHARP,
    )


def interval(runs: Sequence[FloatArray]) -> tuple[float, float]:
    """The mean of values by run, and half the width of its interval of 1 - 2 * ALPHA.

    Runs differ as wholes, by the speed of the machine, and stretches inside them by luck: the wider of the two
    intervals counts, that over the means of runs and that over all stretches. One run alone has that of its stretches;
    where there is one value, the width is infinite.
    """
    means = np.array([run.mean() for run in runs if run.size])
    every = np.concatenate(runs) if runs else np.array([])
    if not every.size:
        return nan, inf
    halves = [
        float(stats.t.ppf(1 - ALPHA, values.size - 1)) * float(values.std(ddof=1)) / sqrt(values.size)
        for values in (means, every)
        if values.size > 1
    ]
    return float(every.mean()), max(halves, default=inf)


def wasserstein(live: Sequence[Sight], simulated: Sequence[Sight], metric: str = METRICS[0]) -> float:
    """Wasserstein-1 between all latencies of either side (s); nan where a side has none."""
    sides = [np.concatenate([one.latencies[metric] for one in side]) for side in (live, simulated)]
    return float(stats.wasserstein_distance(*sides)) if all(side.size for side in sides) else nan


def reached(pairs: Sequence[Judged], controls: Mapping[str, bool], unjudged: int = 0) -> bool:
    """Whether the reach is met: all counts, nine tenths of the pairs, and every control turned its verdict; as it may
    still be where so many more pairs are yet to be judged."""
    total = len(pairs) + unjudged
    if not total or not all(controls.values()):
        return False
    good = sum(pair.equivalent for pair in pairs) + unjudged
    return all(pair.counted for pair in pairs) and good >= SHARE_MIN * total


def _paired(metric: str, share: float, live: Sequence[Sight], simulated: Sequence[Sight]) -> list[FloatArray]:
    """The quantiles of each run in the shortest stretches that serve, each of shape (stretches, 2)."""
    for stretch_s in STRETCHES_S:
        found = [_stretches(metric, share, stretch_s, a, b) for a, b in zip(live, simulated, strict=True)]
        if all(len(each) > 1 for each in found):
            return found
    return [_stretches(metric, share, inf, a, b) for a, b in zip(live, simulated, strict=True)]


def _stretches(metric: str, share: float, stretch_s: float, live: Sight, simulated: Sight) -> FloatArray:
    """The quantile in each stretch where both have enough latencies, shape (stretches, 2)."""
    found = []
    cut = [np.floor(one.moments[metric] / stretch_s).astype(np.int64) for one in (live, simulated)]
    for stretch in np.intersect1d(cut[0], cut[1]):
        both = [one.latencies[metric][at == stretch] for one, at in zip((live, simulated), cut, strict=True)]
        if min(len(side) for side in both) >= SAMPLES_MIN:
            found.append([max(float(np.quantile(side, share)), 1e-9) for side in both])
    return np.array(found).reshape(-1, 2)


def _noise(values: Sequence[float]) -> float:
    return max(values) / min(values) if min(values) > 0 else inf


def _inside(values: Sequence[float], told: Sequence[float]) -> tuple[bool, ...]:
    """Whether each lies in the prediction interval of 95 % for one more run (Hahn and Meeker 1991, 4.7)."""
    if len(told) < 2:
        return ()
    spread = float(stats.t.ppf(0.975, len(told) - 1)) * float(np.std(told, ddof=1)) * sqrt(1 + 1 / len(told))
    return tuple(abs(value - float(np.mean(told))) <= spread for value in values)
