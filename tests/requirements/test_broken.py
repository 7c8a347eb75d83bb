"""Invariant: where what a shipped scenario carries is broken, it breaks a promise that speaks of just that."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from chatsim.scenario.load import discover, load
from chatsim.scenario.requirements import REQUIREMENTS, telling
from tests.explore.mutants import CONTROL, PACKAGE, Mutant, one, plant
from tests.requirements.broken import BROKEN, VIRTUAL, Broken

SCENARIOS = PACKAGE.parent / "scenarios"
PLAYING = Path(__file__).with_name("playing.py")
CARRYING = {path.stem: load(path) for path in discover([SCENARIOS])}
"""Every shipped scenario by its name, which is that of its file."""


SECURED = """
name: secured
duration: 5s
tls: true
handler: {ping_interval: 2s, pong_timeout: 1s, retry_interval: 1s, stale_after: 10s, sweep_interval: 5s, retention: 35s}
groups: [{name: people, users: 2}]
expect: [connections_peak == 2]
live: {time_scale: 0.1}
"""
"""As little as `tls-everywhere` can be: how long it is waited for who cannot come in depends on the settings."""

PLAIN = one(
    "a server that is to speak TLS does not",
    "live/server.py",
    "return server_context(settings.tls_cert, settings.tls_key)",
    "return None",
)


def played(
    mutant: Mutant, wires: Iterable[str], names: Iterable[str], folder: Path
) -> dict[str, dict[str, list[str] | str]]:
    """What failed of each scenario on each wire, played with a copy of the package that has the mutant in it."""
    found = played_files(mutant, wires, [CARRYING[name].path for name in names], folder)
    return {wire: {Path(path).stem: failed for path, failed in of.items()} for wire, of in found.items()}


def played_files(
    mutant: Mutant, wires: Iterable[str], paths: Iterable[Path | None], folder: Path
) -> dict[str, dict[str, list[str] | str]]:
    plant(mutant, folder)
    done = subprocess.run(
        [sys.executable, PLAYING, ",".join(wires), *(f"{path}" for path in paths)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{folder}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    found: dict[str, dict[str, list[str] | str]] = json.loads(done.stdout)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.mutant.name.replace(" ", "-"))
def test_what_is_broken_breaks_what_is_promised_of_it(broken: Broken, tmp_path: Path) -> None:
    names = sorted({name for _, shown in broken.breaks for name in shown})
    for wire, failed in played(broken.mutant, broken.wires, names, tmp_path).items():
        for tag, shown in broken.breaks:
            for name in shown:
                spoken = {each.text for each in telling(tag, CARRYING[name].expect)}
                assert not isinstance(failed[name], str), f"{name} on {wire} proves nothing: {failed[name]}"
                assert spoken & set(failed[name]), f"{name} says nothing of {tag} on {wire}, but {failed[name]}"


@pytest.mark.slow
@pytest.mark.parametrize("wire", VIRTUAL)
def test_where_nothing_is_broken_every_promise_is_kept(wire: str, tmp_path: Path) -> None:
    """The same way, so that what is said above is said of the mutants. On virtual the smallest, since `check` plays
    them all there."""
    small = [name for name, scenario in CARRYING.items() if "regression" in scenario.tags]
    names = small if wire == "virtual" else list(CARRYING)
    found = played(CONTROL, [wire], names, tmp_path)[wire]
    assert {name: failed for name, failed in found.items() if failed} == {}


@pytest.mark.slow
def test_tls_is_shown_by_nothing_where_nobody_speaks_it(tmp_path: Path) -> None:
    """On live alone, where it is spoken: people who insist on it do not come in, and the run shows nothing."""
    path = tmp_path / "secured.yaml"
    path.write_text(SECURED, encoding="utf-8")
    assert played_files(CONTROL, ["live"], [path], tmp_path / "control") == {"live": {f"{path}": []}}
    assert played_files(PLAIN, ["live"], [path], tmp_path / "plain")["live"][f"{path}"]


def test_each_requirement_of_each_scenario_is_broken_by_one() -> None:
    carried = {
        (tag, name)
        for name, scenario in CARRYING.items()
        for tag in scenario.requirements
        if REQUIREMENTS[tag].shown_on("sim")
    }
    for wire in VIRTUAL:
        shown = {(tag, name) for each in BROKEN if wire in each.wires for tag, names in each.breaks for name in names}
        assert shown == carried, wire


def test_each_mutant_is_there_once_and_is_another_program() -> None:
    assert len({each.mutant.name for each in BROKEN}) == len(BROKEN)
    for each in BROKEN:
        for edit in each.mutant.edits:
            assert (PACKAGE / edit.file).read_text(encoding="utf-8").count(edit.old) == 1, each.mutant.name
            assert edit.new != edit.old
