"""Random quantities of a scenario: latencies, sizes, thinking times, costs.

Decides what each named distribution means in numbers. Its one rule: `mean` and `variance` are those of what `sample`
returns, as declared. A normal is cut at 0 and its declared mean and sd are those *after* the cut, so the underlying
ones are solved for. How distributions are spelled in YAML is `reading`'s affair; which stream of randomness is drawn
from is the caller's.
"""

# numpy is imported where it is used: checking scenario files draws nothing, and the import would cost half its time.
from __future__ import annotations

import functools
import math
from abc import ABCMeta, abstractmethod
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Samples: TypeAlias = NDArray[np.float64]

Z99: Final = 2.3263478740408408
"""The standard normal quantile of 0.99."""

NORMAL_CV_MAX: Final = 0.9
"""Above this ratio of sd to mean a normal cut at 0 is an exponential in all but name (the family ends at 1)."""


class _AbstractStruct(msgspec.StructMeta, ABCMeta):
    """What makes a struct that is an abstract base class."""


class Distribution(msgspec.Struct, frozen=True, kw_only=True, metaclass=_AbstractStruct):
    """Base of all distributions. `shift` is added to every sample; units are those of the place (seconds, bytes)."""

    shift: float = 0.0

    @property
    def mean(self) -> float:
        """Expected value of a sample, shift included."""
        return self.shift + self._mean()

    @property
    def variance(self) -> float:
        """Variance of a sample; infinite for a Pareto of shape 2 or less."""
        return self._variance()

    @property
    def is_constant(self) -> bool:
        """Whether every sample is the same, so that callers may skip the drawing."""
        return False

    def sample(self, generator: np.random.Generator, n: int) -> Samples:
        """Draw `n` independent values: float64 of shape (n,)."""
        drawn = self._draw(generator, n)
        return drawn + self.shift if self.shift else drawn

    def scaled(self, factor: float) -> Distribution:
        """The distribution of `factor` times a sample."""
        changes = {name: _times(getattr(self, name), factor) for name in self._linear()}
        return msgspec.structs.replace(self, shift=self.shift * factor, **changes)

    # What each kind says for itself.

    @abstractmethod
    def _linear(self) -> tuple[str, ...]:
        """Fields that are proportional to the samples: numbers, distributions, or tuples of them."""

    @abstractmethod
    def _mean(self) -> float: ...

    @abstractmethod
    def _variance(self) -> float: ...

    @abstractmethod
    def _draw(self, generator: np.random.Generator, n: int) -> Samples: ...


def _times(value: Any, factor: float) -> Any:
    if isinstance(value, tuple):
        return tuple(_times(one, factor) for one in value)
    return value.scaled(factor) if isinstance(value, Distribution) else value * factor


class Constant(Distribution, frozen=True, kw_only=True, tag="constant"):
    """Always `value`. Draws nothing from the generator."""

    value: float

    @property
    def is_constant(self) -> bool:
        return True

    def _linear(self) -> tuple[str, ...]:
        return ("value",)

    def _mean(self) -> float:
        return self.value

    def _variance(self) -> float:
        return 0.0

    def _draw(self, generator: np.random.Generator, n: int) -> Samples:
        import numpy as np

        return np.full(n, self.value)


class Uniform(Distribution, frozen=True, kw_only=True, tag="uniform"):
    """Evenly between `low` and `high`."""

    low: float
    high: float

    def _linear(self) -> tuple[str, ...]:
        return ("low", "high")

    def _mean(self) -> float:
        return (self.low + self.high) / 2

    def _variance(self) -> float:
        return (self.high - self.low) ** 2 / 12

    def _draw(self, generator: np.random.Generator, n: int) -> Samples:
        return generator.uniform(self.low, self.high, n)


class Exponential(Distribution, frozen=True, kw_only=True, tag="exponential"):
    """Memoryless, with mean `scale`."""

    scale: float

    def _linear(self) -> tuple[str, ...]:
        return ("scale",)

    def _mean(self) -> float:
        return self.scale

    def _variance(self) -> float:
        return self.scale**2

    def _draw(self, generator: np.random.Generator, n: int) -> Samples:
        return generator.exponential(self.scale, n)


class Normal(Distribution, frozen=True, kw_only=True, tag="normal"):
    """Normal cut at 0 with mean `centre` and sd `sd` after the cut; `sd` is at most NORMAL_CV_MAX of `centre`."""

    centre: float
    sd: float

    def _linear(self) -> tuple[str, ...]:
        return ("centre", "sd")

    def _mean(self) -> float:
        return self.centre

    def _variance(self) -> float:
        return self.sd**2

    def _draw(self, generator: np.random.Generator, n: int) -> Samples:
        bound, sigma = uncut_normal(self.centre, self.sd)
        return (_normal_above(generator, bound, n) - bound) * sigma


class Lognormal(Distribution, frozen=True, kw_only=True, tag="lognormal"):
    """exp of a normal: `median` in the unit of the place, `sigma` the sd of the logarithm."""

    median: float
    sigma: float

    def _linear(self) -> tuple[str, ...]:
        return ("median",)

    def _mean(self) -> float:
        return self.median * math.exp(self.sigma**2 / 2)

    def _variance(self) -> float:
        return self._mean() ** 2 * math.expm1(self.sigma**2)

    def _draw(self, generator: np.random.Generator, n: int) -> Samples:
        return generator.lognormal(math.log(self.median), self.sigma, n)


class Gamma(Distribution, frozen=True, kw_only=True, tag="gamma"):
    """Gamma with `shape` (no unit) and `scale`; mean shape * scale."""

    shape: float
    scale: float

    def _linear(self) -> tuple[str, ...]:
        return ("scale",)

    def _mean(self) -> float:
        return self.shape * self.scale

    def _variance(self) -> float:
        return self.shape * self.scale**2

    def _draw(self, generator: np.random.Generator, n: int) -> Samples:
        return generator.gamma(self.shape, self.scale, n)


class Weibull(Distribution, frozen=True, kw_only=True, tag="weibull"):
    """Weibull with `shape` (no unit) and `scale`; 63.2 % of the samples lie below `scale`."""

    shape: float
    scale: float

    def _linear(self) -> tuple[str, ...]:
        return ("scale",)

    def _mean(self) -> float:
        return self.scale * math.gamma(1 + 1 / self.shape)

    def _variance(self) -> float:
        return self._mean() ** 2 * weibull_cv(self.shape) ** 2

    def _draw(self, generator: np.random.Generator, n: int) -> Samples:
        return self.scale * generator.weibull(self.shape, n)


class Pareto(Distribution, frozen=True, kw_only=True, tag="pareto"):
    """Pareto of type I: never below `scale`, tail (scale / x) ** shape; `shape` above 1, so that there is a mean."""

    shape: float
    scale: float

    def _linear(self) -> tuple[str, ...]:
        return ("scale",)

    def _mean(self) -> float:
        return self.scale * self.shape / (self.shape - 1)

    def _variance(self) -> float:
        if self.shape <= 2:
            return math.inf
        return self._mean() ** 2 / (self.shape * (self.shape - 2))

    def _draw(self, generator: np.random.Generator, n: int) -> Samples:
        # numpy's pareto is the Lomax distribution, which starts at 0.
        return self.scale * (1.0 + generator.pareto(self.shape, n))


class Empirical(Distribution, frozen=True, kw_only=True, tag="empirical"):
    """Measured values, drawn with replacement. Mean and (population) variance are those of the values."""

    values: tuple[float, ...]

    def _linear(self) -> tuple[str, ...]:
        return ("values",)

    def _mean(self) -> float:
        return math.fsum(self.values) / len(self.values)

    def _variance(self) -> float:
        mean = self._mean()
        return math.fsum((value - mean) ** 2 for value in self.values) / len(self.values)

    def _draw(self, generator: np.random.Generator, n: int) -> Samples:
        return _as_array(self.values)[generator.integers(0, len(self.values), n)]


class Mixture(Distribution, frozen=True, kw_only=True, tag="mixture"):
    """Each sample from one of `parts`, chosen by `weights`, which sum to 1."""

    weights: tuple[float, ...]
    parts: tuple[Distribution, ...]

    def _linear(self) -> tuple[str, ...]:
        return ("parts",)

    def _mean(self) -> float:
        return math.fsum(weight * part.mean for weight, part in zip(self.weights, self.parts, strict=True))

    def _variance(self) -> float:
        mean = self._mean()
        pairs = zip(self.weights, self.parts, strict=True)
        return math.fsum(weight * (part.variance + (part.mean - mean) ** 2) for weight, part in pairs)

    def _draw(self, generator: np.random.Generator, n: int) -> Samples:
        import numpy as np

        chosen = generator.choice(len(self.parts), n, p=self.weights)
        drawn = np.empty(n)
        for index, part in enumerate(self.parts):
            where = chosen == index
            drawn[where] = part.sample(generator, int(where.sum()))
        return drawn


def lognormal_of_quantile(median: float, p99: float) -> Lognormal:
    """The lognormal with this median and 99th percentile: sigma = ln(p99 / median) / z(0.99)."""
    return Lognormal(median=median, sigma=math.log(p99 / median) / Z99)


def lognormal_of_mean(mean: float, cv: float) -> Lognormal:
    """The lognormal with this mean and coefficient of variation: sigma^2 = ln(1 + cv^2)."""
    sigma_squared = math.log1p(cv**2)
    return Lognormal(median=mean * math.exp(-sigma_squared / 2), sigma=math.sqrt(sigma_squared))


def weibull_cv(shape: float) -> float:
    """Coefficient of variation of a Weibull: sqrt(G(1 + 2/k) / G(1 + 1/k)^2 - 1), by logarithms."""
    return math.sqrt(math.expm1(math.lgamma(1 + 2 / shape) - 2 * math.lgamma(1 + 1 / shape)))


def weibull_shape(cv: float) -> float:
    """The shape whose Weibull has this coefficient of variation, by bisection (the cv falls as the shape grows)."""
    low, high = 0.05, 1000.0
    for _ in range(200):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if weibull_cv(middle) > cv else (low, middle)
    return math.sqrt(low * high)


def cut_moments(bound: float) -> tuple[float, float]:
    """Mean and sd of (Z - bound) for a standard normal Z known to exceed `bound`.

    Mean h - a and variance 1 - h (h - a), with h the hazard rate of the normal at a (Johnson, Kotz & Balakrishnan
    1994, 10.1).
    """
    hazard = math.exp(-bound * bound / 2) / (math.sqrt(math.pi / 2) * math.erfc(bound / math.sqrt(2)))
    above = hazard - bound
    return above, math.sqrt(1 - hazard * above)


@functools.lru_cache(maxsize=1024)
def uncut_normal(mean: float, sd: float) -> tuple[float, float]:
    """Bound (in sds of the uncut normal) and its sigma, such that cutting at 0 leaves this mean and sd.

    The ratio sd / mean after the cut grows with the bound, so bisection finds it; no cut is felt below a bound of -8.
    """
    assert 0 < sd <= NORMAL_CV_MAX * mean
    if sd <= mean / 8.5:
        return -mean / sd, sd
    low, high = -9.0, 6.0
    for _ in range(100):
        middle = (low + high) / 2
        above, spread = cut_moments(middle)
        low, high = (middle, high) if spread / above < sd / mean else (low, middle)
    bound = (low + high) / 2
    return bound, mean / cut_moments(bound)[0]


def _normal_above(generator: np.random.Generator, bound: float, n: int) -> Samples:
    """`n` standard normals known to exceed `bound`, by rejection.

    Plain rejection accepts at least half below 0; above it, the exponential proposal of Robert (1995) accepts 76 % or
    more.
    """
    import numpy as np

    kept = np.empty(0)
    rate = (bound + math.sqrt(bound * bound + 4)) / 2
    while kept.size < n:
        missing = n - kept.size
        if bound <= 0:
            drawn = generator.standard_normal(missing)
            accepted = drawn[drawn > bound]
        else:
            drawn = bound + generator.exponential(1 / rate, missing)
            accepted = drawn[generator.random(missing) <= np.exp(-((drawn - rate) ** 2) / 2)]
        kept = np.concatenate((kept, accepted)) if kept.size else accepted
    return kept


@functools.lru_cache(maxsize=64)
def _as_array(values: tuple[float, ...]) -> Samples:
    """The values as an array, made once per distribution: they may be many, and are drawn from often."""
    import numpy as np

    return np.array(values, dtype=np.float64)
