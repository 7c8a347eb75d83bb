"""What an analyst says in a script or a notebook: play a scenario, and hold the run.

Decides where a run leaves its folder: nowhere, unless somebody says where. Rule: what is played here is what the
commands play, by the same function.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any, TypeAlias

from chatsim.analysis.results import Run
from chatsim.errors import UsageError
from chatsim.live.beside import Progress, abeside, beside
from chatsim.runner.run import run
from chatsim.scenario import load as files
from chatsim.scenario.faults import did_you_mean
from chatsim.scenario.model import Scenario
from chatsim.verdict.again import Source
from chatsim.verdict.wires import FLOW, played_as

Played: TypeAlias = Scenario | Mapping[str, Any] | str | Path
"""A scenario, the words of one, its file, or the name of a shipped one."""

WIRES = ("sim", "virtual", FLOW)


class Scenarios(dict[str, Scenario]):
    """Scenarios by name, shown as a list of what each is for. An unknown name raises UsageError with the nearest."""

    def __missing__(self, name: str) -> Scenario:
        raise UsageError(f"there is no shipped scenario {name}{did_you_mean(name, self)}")

    def __repr__(self) -> str:
        """A line for each, of at most 80 columns."""
        lines = [f"{name:24} {scenario.description}" for name, scenario in self.items()]
        return "\n".join(line if len(line) <= 80 else line[:79] + "…" for line in lines)


def scenarios() -> Scenarios:
    """The shipped scenarios by name, in the order of their files."""
    found = (files.load(path) for path in files.discover([]))
    return Scenarios({scenario.name: scenario for scenario in found})


def load(scenario: Played) -> Scenario:
    """The scenario of a file, of a shipped name or of the words of a file.

    Raises UsageError with every problem, or with the nearest name.
    """
    if isinstance(scenario, Scenario):
        return scenario
    if isinstance(scenario, Mapping):
        return Scenario.of(scenario)
    if not isinstance(scenario, str | Path):
        raise UsageError(f"{scenario!r} is no scenario: give one, its file, its words, or the name of a shipped one")
    return files.load(files.find(scenario))


def simulate(
    scenario: Played,
    *,
    on: str = "sim",
    fidelity: str = "full",
    seed: int | None = None,
    out: str | Path | None = None,
) -> Run:
    """Play it in virtual time, on `sim` or `virtual`, also where an event loop runs; `out` is where its folder is kept.
    `fidelity="flow"` is `sim` in arrays and without handler code: numbers for millions of users, and no tables.

    Raises UsageError for what cannot be played, HarnessError where it fails.
    """
    if on not in WIRES:
        raise UsageError(f"on={on!r}: virtual time is on sim or virtual, and run_live plays on real sockets")
    return _play(load(scenario), played_as(on, fidelity), seed, out, _unheard)


def run_live(
    scenario: Played, *, seed: int | None = None, out: str | Path | None = None, progress: Progress | None = None
) -> Run:
    """Play it on real sockets, with its `live:` overrides; where an event loop runs, as in a notebook, in a thread of
    its own. `progress` hears the share done.

    Raises UsageError for what cannot be played, HarnessError where it fails.
    """
    played = load(scenario)
    return beside(lambda told: _play(played, "live", seed, out, told), progress or _unheard)


async def arun_live(
    scenario: Played, *, seed: int | None = None, out: str | Path | None = None, progress: Progress | None = None
) -> Run:
    """As `run_live`, while the running loop goes on; `progress` is told in another thread."""
    played = load(scenario)
    return await abeside(lambda told: _play(played, "live", seed, out, told), progress or _unheard)


def _unheard(share: float) -> None:
    """Nobody wants to know how far it is."""


def _play(scenario: Scenario, on: str, seed: int | None, out: str | Path | None, progress: Progress) -> Run:
    source = Source.of(scenario)
    if out is not None:
        return Run(run(scenario, on=on, seed=seed, out=Path(out), progress=progress), source)
    with TemporaryDirectory(prefix="chatsim-run-") as folder:
        result = run(scenario, on=on, seed=seed, out=Path(folder), progress=progress)
        assert result.path is not None
        # A place of its own, which goes with the run and not with this function.
        result.path = result.path.rename(mkdtemp(prefix="chatsim-run-"))
    return Run(result, source, kept=False)
