"""What the commands call, and the shape of what they get back.

Decides nothing: it names the functions behind the commands, so that a test hands in its own. Rule: the real ones are
imported when they are first called, never before, so that `chatsim --help` and `chatsim lint` do not wait for SimPy,
NumPy or the server.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

Wire: TypeAlias = Literal["sim", "virtual", "live"]


class Scenario(Protocol):
    """What the commands need to know of a scenario."""

    @property
    def name(self) -> str: ...


class Judged(Protocol):
    """One expectation with its verdict. `observed` and `limit` are in `unit` (`s`, `share`, or nothing for a count),
    over `n` samples."""

    @property
    def text(self) -> str: ...
    @property
    def observed(self) -> float: ...
    @property
    def limit(self) -> float: ...
    @property
    def verdict(self) -> str: ...
    @property
    def n(self) -> int: ...
    @property
    def unit(self) -> str: ...


class Result(Protocol):
    """One finished run, judged."""

    @property
    def scenario(self) -> str: ...
    @property
    def wire(self) -> str: ...
    @property
    def seed(self) -> int: ...
    @property
    def verdict(self) -> str: ...
    @property
    def expectations(self) -> Sequence[Judged]: ...
    @property
    def valid(self) -> bool: ...
    @property
    def why_invalid(self) -> str: ...
    @property
    def busy(self) -> bool: ...
    @property
    def path(self) -> Path | None: ...
    def to_dict(self) -> Mapping[str, Any]: ...


Progress: TypeAlias = Callable[[float], None]
"""Told the share of a run that is done, from 0 to 1."""


class Runner(Protocol):
    """Runs one scenario on one wire, writes its folder and judges it."""

    def __call__(
        self, scenario: Any, *, on: Wire, seed: int | None, out: Path | None, progress: Progress | None
    ) -> Result: ...


Loader: TypeAlias = Callable[[Sequence[Path]], tuple[Sequence[Scenario], Sequence[object]]]
"""Files and folders in, scenarios and problems out; `str(problem)` is one line."""


@dataclass(frozen=True, slots=True)
class Doors:
    """The functions behind the commands."""

    load: Loader
    run: Runner


def _load(paths: Sequence[Path]) -> tuple[Sequence[Scenario], Sequence[object]]:
    """Every scenario of the files and folders (the shipped ones without a path), and every problem of all of them."""
    from chatsim.scenario.load import discover, load_all

    return load_all(discover(list(paths)))


def _run(scenario: Any, *, on: Wire, seed: int | None, out: Path | None, progress: Progress | None) -> Result:
    """Run for real."""
    from chatsim.runner.run import run

    return run(scenario, on=on, seed=seed, out=out, progress=progress)


REAL = Doors(load=_load, run=_run)
"""The doors of the installed command."""
