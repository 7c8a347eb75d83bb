"""What the commands call; what they get back is shaped in `verdict.result`.

Decides nothing: it names the functions behind the commands, so that a test hands in its own. Rule: the real ones are
imported when they are first called, never before, so that `chatsim --help` and `chatsim lint` do not wait for SimPy,
NumPy or the server.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from chatsim.cli.output import say
from chatsim.verdict.result import Result

if TYPE_CHECKING:
    from chatsim.live.target import Target
    from chatsim.scenario.load import Notice

Wire: TypeAlias = str
"""sim, virtual, live or flow, or what the server of somebody else is called."""


class Scenario(Protocol):
    """What the commands need to know of a scenario."""

    @property
    def name(self) -> str: ...


Progress: TypeAlias = Callable[[float], None]
"""Told the share of a run that is done, from 0 to 1."""


class Runner(Protocol):
    """Runs one scenario on one wire, writes its folder and judges it."""

    def __call__(
        self, scenario: Any, *, on: Wire, seed: int | None, out: Path | None, progress: Progress | None
    ) -> Result: ...


class RemoteRunner(Protocol):
    """Runs one scenario on a server that somebody else runs, as `Runner` does on a wire."""

    def __call__(
        self, scenario: Any, *, target: Target, seed: int | None, out: Path | None, progress: Progress | None
    ) -> Result: ...


Noticed: TypeAlias = "Callable[[Notice], None]"
"""Hears which files were passed over; on stderr it is said already."""


def _unheard(notice: Notice) -> None:
    pass


class Loader(Protocol):
    """Files and folders in, scenarios and problems out; `str(problem)` is one line."""

    def __call__(
        self, paths: Sequence[Path], noticed: Noticed = ...
    ) -> tuple[Sequence[Scenario], Sequence[object]]: ...


def _load(paths: Sequence[Path], noticed: Noticed = _unheard) -> tuple[Sequence[Scenario], Sequence[object]]:
    """Every scenario of the files and folders (the shipped ones without a path), and every problem of all of them.

    What may have been meant as a scenario, and is none, is named on stderr, and so is a scenario that would pass if
    nobody had come: it is not ours to call either wrong.
    """
    from chatsim.scenario.expectations import SOMETHING
    from chatsim.scenario.load import Notice, discover, load_all

    def pass_over(file: Path, lacks: str) -> None:
        text = f"passed over: {file} {lacks}"
        say(f"chatsim: {text}")
        noticed(Notice(f"{file}", 1, text))

    scenarios, problems = load_all(discover(list(paths), passed_over=pass_over))
    for each in scenarios:
        if each.is_vacuous:
            where = f"{each.path}:{each.line_of(('expect',))}"
            say(f"chatsim: {where}: all that {each.name} promises would hold if nobody had come: {SOMETHING}")
    return scenarios, problems


def _run(scenario: Any, *, on: Wire, seed: int | None, out: Path | None, progress: Progress | None) -> Result:
    """Run for real."""
    from chatsim.runner.run import run

    return run(scenario, on=on, seed=seed, out=out, progress=progress)


def _run_on(scenario: Any, *, target: Target, seed: int | None, out: Path | None, progress: Progress | None) -> Result:
    """Run for real, on that server."""
    from chatsim.runner.run import run

    return run(scenario, on=target.shown, seed=seed, out=out, progress=progress, target=target)


@dataclass(frozen=True, slots=True)
class Doors:
    """The functions behind the commands."""

    load: Loader
    run: Runner
    run_on: RemoteRunner = _run_on


REAL = Doors(load=_load, run=_run)
"""The doors of the installed command."""
