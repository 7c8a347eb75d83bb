"""Reading distributions, and files of numbers, out of a scenario's words.

Decides how a distribution is spelled and which parameters contradict each other. Rule: the place decides the unit (a
latency takes durations, a size bytes), and the words never do. What the distributions mean in numbers is
`distributions`' affair.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from chatsim.scenario import distributions as d
from chatsim.scenario import units
from chatsim.scenario.faults import Fault, FaultsError, did_you_mean
from chatsim.scenario.paths import is_file

Quantity: TypeAlias = Callable[[object], float]
"""Reads one quantity of the place's unit; raises ValueError."""

SHAPED: Final = (("shape", "scale"), ("mean", "shape"), ("mean", "cv"))

FORMS: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "constant": (),
    "uniform": (("low", "high"),),
    "exponential": (("mean",),),
    "normal": (("mean", "sd"),),
    "lognormal": (("median", "p99"), ("mean", "cv")),
    "gamma": SHAPED,
    "weibull": SHAPED,
    "pareto": SHAPED,
    "empirical": (("file",),),
    "mixture": (),
}
"""Each distribution and the sets of parameters that it may be given by."""

PLAIN: Final = frozenset({"shape", "cv"})
"""Parameters without a unit."""

CV_MAX: Final = 100.0
EMPIRICAL_VALUES_MAX: Final = 1_000_000

LINES_SHOWN_MAX: Final = 20
"""Wrong lines of one file of numbers that are named: a file with more of them is another kind of file."""


def read_distribution(value: object, quantity: Quantity, folder: Path | None = None) -> d.Distribution:
    """A distribution out of `{lognormal: {median: 15ms, p99: 45ms}}` or a bare quantity, which is constant.

    `folder` is where the files of `empirical` are looked for. Raises FaultsError with paths inside `value`.
    """
    if not isinstance(value, Mapping):
        return d.Constant(value=_one((), quantity, value))
    kinds = [key for key in value if key in FORMS]
    unknown = [key for key in value if key not in FORMS and key != "shift"]
    found: list[Fault] = [((key,), f"unknown distribution{did_you_mean(key, [*FORMS, 'shift'])}") for key in unknown]
    if len(kinds) != 1 and not unknown:
        found.append(((), f"names {len(kinds)} distributions; write exactly one of {', '.join(FORMS)}"))
    made: list[d.Distribution] = []
    for kind in kinds:
        try:
            made.append(_read_kind(kind, value[kind], value, quantity, folder))
        except FaultsError as faults:
            found.extend(faults.found)
    if found:
        raise FaultsError(dict.fromkeys(found))
    return made[0]


def _read_kind(
    kind: str, given: object, around: Mapping[object, object], quantity: Quantity, folder: Path | None
) -> d.Distribution:
    """One distribution of a known kind; `shift` stands beside it, or among its parameters."""
    shift, shift_path = around.get("shift", 0), ("shift",)
    parameters = dict(given) if isinstance(given, Mapping) else given
    if isinstance(parameters, dict) and "shift" in parameters:
        if "shift" in around:
            raise FaultsError([((kind, "shift"), "shift is given twice: keep one")])
        shift, shift_path = parameters.pop("shift"), (kind, "shift")  # type: ignore[assignment]
    found: list[Fault] = []
    shift_by = 0.0
    made: d.Distribution | None = None
    try:
        shift_by = 0.0 if shift == 0 else _one(shift_path, quantity, shift)
    except FaultsError as faults:
        found.extend(faults.found)
    try:
        if kind == "constant":
            made = d.Constant(value=_one((), quantity, parameters))
        elif kind == "mixture":
            made = _read_mixture(parameters, quantity, folder)
        else:
            made = _read_parameters(kind, parameters, quantity, folder)
    except FaultsError as faults:
        found.extend(((kind, *path), text) for path, text in faults.found)
    if found or made is None:
        raise FaultsError(found)
    return msgspec.structs.replace(made, shift=shift_by)


def _read_parameters(kind: str, given: object, quantity: Quantity, folder: Path | None) -> d.Distribution:
    """A distribution out of its named parameters."""
    forms = FORMS[kind]
    wanted = " or ".join("{" + ", ".join(form) + "}" for form in forms)
    if not isinstance(given, Mapping):
        raise FaultsError([((), f"{kind} takes {wanted}")])
    known = {name for form in forms for name in form}
    unknown = [name for name in given if name not in known]
    found: list[Fault] = [
        ((name,), f"{kind} does not know {name!r}{did_you_mean(name, sorted(known))}") for name in unknown
    ]
    if not unknown and set(given) not in [set(form) for form in forms]:
        found.append(((), f"{kind} takes {wanted}, and got {{{', '.join(map(str, given))}}}"))
    if kind == "empirical" and not found:
        return d.Empirical(values=read_numbers(given["file"], quantity, folder))
    values: dict[str, float] = {}
    for name, raw in given.items():
        if name not in known or name == "file":
            continue
        try:
            values[name] = _one((name,), units.number if name in PLAIN else quantity, raw)
        except FaultsError as faults:
            found.extend(faults.found)
    found.extend(_senseless(kind, values))
    if found:
        raise FaultsError(found)
    return _MAKERS[kind](values)


def _senseless(kind: str, values: Mapping[str, float]) -> list[Fault]:
    """Parameters that no such distribution has; those missing from `values` were refused already."""
    found: list[Fault] = []
    for name, value in values.items():
        if value <= 0 and kind != "uniform":
            found.append(((name,), f"{name} must be more than 0 (for no spread at all write a constant)"))
    if found:
        return found
    if kind == "uniform" and values.get("low", 0.0) > values.get("high", math.inf):
        found.append((("high",), "high lies below low: exchange them"))
    if kind == "lognormal" and values.get("p99", math.inf) <= values.get("median", 0.0):
        found.append((("p99",), "p99 must be more than the median (for no spread at all write a constant)"))
    if kind == "normal" and values.get("sd", 0.0) > d.NORMAL_CV_MAX * values.get("mean", math.inf):
        found.append(
            (("sd",), f"sd is over {d.NORMAL_CV_MAX:g} of the mean, which no normal cut at 0 can have: use lognormal")
        )
    if values.get("cv", 0.0) > CV_MAX:
        found.append((("cv",), f"cv is over {CV_MAX:g}: cv is the sd divided by the mean"))
    if kind == "pareto" and values.get("shape", math.inf) <= 1:
        found.append((("shape",), "a Pareto of shape 1 or less has no mean: raise shape above 1"))
    if kind == "weibull" and not 0.05 <= values.get("shape", 1.0) <= 1000:
        found.append((("shape",), "shape must lie between 0.05 and 1000"))
    return found


def _gamma(values: Mapping[str, float]) -> d.Distribution:
    shape = 1 / values["cv"] ** 2 if "cv" in values else values["shape"]
    return d.Gamma(shape=shape, scale=values["scale"] if "scale" in values else values["mean"] / shape)


def _weibull(values: Mapping[str, float]) -> d.Distribution:
    shape = d.weibull_shape(values["cv"]) if "cv" in values else values["shape"]
    scale = values["scale"] if "scale" in values else values["mean"] / math.gamma(1 + 1 / shape)
    return d.Weibull(shape=shape, scale=scale)


def _pareto(values: Mapping[str, float]) -> d.Distribution:
    # From cv^2 = 1 / (a (a - 2)).
    shape = 1 + math.sqrt(1 + values["cv"] ** -2) if "cv" in values else values["shape"]
    return d.Pareto(shape=shape, scale=values["scale"] if "scale" in values else values["mean"] * (shape - 1) / shape)


def _lognormal(values: Mapping[str, float]) -> d.Distribution:
    if "median" in values:
        return d.lognormal_of_quantile(values["median"], values["p99"])
    return d.lognormal_of_mean(values["mean"], values["cv"])


_MAKERS: Final[Mapping[str, Callable[[Mapping[str, float]], d.Distribution]]] = {
    "uniform": lambda values: d.Uniform(low=values["low"], high=values["high"]),
    "exponential": lambda values: d.Exponential(scale=values["mean"]),
    "normal": lambda values: d.Normal(centre=values["mean"], sd=values["sd"]),
    "lognormal": _lognormal,
    "gamma": _gamma,
    "weibull": _weibull,
    "pareto": _pareto,
}


def _read_mixture(given: object, quantity: Quantity, folder: Path | None) -> d.Mixture:
    """A mixture out of `[{weight: 90%, constant: 1ms}, {weight: 10%, exponential: {mean: 20ms}}]`."""
    example = "[{weight: 90%, constant: 1ms}, {weight: 10%, exponential: {mean: 20ms}}]"
    if not isinstance(given, list) or not given:
        raise FaultsError([((), f"mixture takes a list like {example}")])
    weights: list[float] = []
    parts: list[d.Distribution] = []
    found: list[Fault] = []
    for index, item in enumerate(given):
        if not isinstance(item, Mapping) or "weight" not in item:
            found.append(((index,), f"each part is a distribution with a weight, like {example}"))
        if not isinstance(item, Mapping):
            continue
        try:
            weights.append(_one(("weight",), _weight, item.get("weight", 0)))
        except FaultsError as faults:
            found.extend(((index, *path), text) for path, text in faults.found)
        try:
            parts.append(read_distribution({key: item[key] for key in item if key != "weight"}, quantity, folder))
        except FaultsError as faults:
            found.extend(((index, *path), text) for path, text in faults.found)
    if not found and math.fsum(weights) <= 0:
        found.append(((), "all weights are 0: give one part a weight"))
    if found:
        raise FaultsError(found)
    total = math.fsum(weights)
    return d.Mixture(weights=tuple(weight / total for weight in weights), parts=tuple(parts))


def _weight(value: object) -> float:
    return units.share(value) if isinstance(value, str) else units.number(value)


def read_numbers(name: object, quantity: Quantity, folder: Path | None) -> tuple[float, ...]:
    """The numbers of a file, one a line, with a unit or bare in the base unit (seconds, bytes); `#` opens a comment."""
    path = find_file(name, folder)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FaultsError([(("file",), f"{path} cannot be read as text: {error}")]) from None
    values: list[float] = []
    found: list[Fault] = []
    for count, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        try:
            values.append(_bare_or(text, quantity))
        except ValueError as error:
            found.append((("file",), f"{path}:{count}: {error}"))
            if len(found) == LINES_SHOWN_MAX:
                break
    if found:
        raise FaultsError(found)
    if not values:
        raise FaultsError([(("file",), f"{path} holds no numbers: write one a line")])
    if len(values) > EMPIRICAL_VALUES_MAX:
        raise FaultsError([(("file",), f"{path} holds over {EMPIRICAL_VALUES_MAX} numbers: keep a sample of them")])
    return tuple(values)


def find_file(name: object, folder: Path | None) -> Path:
    """The path of a file named in a scenario, relative to the scenario's folder; FaultsError when there is none."""
    if not isinstance(name, str) or not name or "\0" in name:
        raise FaultsError([(("file",), "file takes a path, relative to the scenario's folder")])
    path = (folder or Path()) / name
    if not is_file(path):
        raise FaultsError([(("file",), f"{path} is not a file: paths are relative to the scenario's folder")])
    return path


def _bare_or(text: str, quantity: Quantity) -> float:
    """A recorded number: measurements are mostly written bare, in seconds or bytes."""
    try:
        value = float(text)
    except ValueError:
        return quantity(text)
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{text} is not a finite number of 0 or more")
    return value


def _one(path: tuple[str | int, ...], quantity: Quantity, value: object) -> float:
    """One quantity, its ValueError turned into a fault at `path`."""
    try:
        return quantity(value)
    except ValueError as error:
        raise FaultsError([(path, str(error))]) from None
