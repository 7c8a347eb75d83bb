"""`python -m tests.explore`: plants the mutants, plays many seeds, and writes `results/explore.md`.

Decides how much is played (EXPLORE_SEEDS, 20,000 unless it says otherwise). Rule: the page is written whatever was
found, and the process ends with 1 where anything was. Mutants count as killed only where the control, which is planted
as they are and has no bug, is clean.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from chatsim.explore.campaign import Totals, campaign
from chatsim.explore.reach import failed as unreached
from chatsim.explore.report import page
from tests.explore.client_mutants import CLIENT_MUTANTS
from tests.explore.mutants import CONTROL, MUTANTS, Mutant, explored
from tests.explore.peer_mutants import PEER_MUTANTS
from tests.explore.shell_mutants import CONTROL_ON_VIRTUAL, SHELL_MUTANTS

PAGE = Path(__file__).parents[2] / "results" / "explore.md"
TOLD_EVERY_S = 30.0


def killed(mutant: Mutant) -> bool:
    """Whether exploring finds this one, by what it breaks."""
    with tempfile.TemporaryDirectory(prefix="chatsim-mutant-") as folder:
        found = explored(mutant, Path(folder))
    dead = found.kills and (not mutant.by or found.invariant in mutant.by)
    if dead:
        sys.stderr.write(f"{mutant.name}: killed by {found.invariant}, on seed {found.seed} on {mutant.wire}\n")
    else:
        sys.stderr.write(f"{mutant.name} survived: {found.said}\n")
    return dead


def clean(control: Mutant) -> bool:
    """Whether nothing is found where nothing is planted: without that a kill says nothing."""
    with tempfile.TemporaryDirectory(prefix="chatsim-mutant-") as folder:
        found = explored(control, Path(folder))
    if found.status:
        sys.stderr.write(f"nothing was planted, and on {control.wire} something was found: {found.said}\n")
    return found.status == 0


def main() -> int:
    """Everything, one after the other."""
    seeds = int(os.environ.get("EXPLORE_SEEDS", "20000"))
    jobs = os.cpu_count() or 1
    mutants = (*MUTANTS, *PEER_MUTANTS, *CLIENT_MUTANTS, *SHELL_MUTANTS)
    with ThreadPoolExecutor(jobs) as pool:
        sound = [pool.submit(clean, control) for control in (CONTROL, CONTROL_ON_VIRTUAL)]
        dead = sum(pool.map(killed, mutants))
        dead = dead if all(control.result() for control in sound) else 0
    sys.stderr.write(f"{dead} of {len(mutants)} mutants killed\n")
    told_at = time.monotonic()

    def told(totals: Totals) -> None:
        nonlocal told_at
        if time.monotonic() - told_at >= TOLD_EVERY_S:
            told_at = time.monotonic()
            sys.stderr.write(f"{totals.seeds} seeds, {totals.rate:.0f} simulated seconds a second\n")

    totals = campaign(0, seeds, on="both", jobs=jobs, for_s=float("inf"), clock=time.monotonic, progress=told)
    if totals.interrupted:
        # A page about a part of it would look like one about all.
        sys.stderr.write(f"interrupted after {totals.seeds} of {seeds} seeds\n")
        return 130
    for seed, why in totals.lost.items():
        sys.stderr.write(f"seed {seed} has no answer, {why}\n")
    for failed in totals.failures:
        sys.stderr.write(f"seed {failed.seed} on {failed.wire}: {failed.violations[0]}\n")
    machine = f"CPython {platform.python_version()}, {platform.machine()}, {jobs} processes."
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(totals, (dead, len(mutants)), machine), encoding="utf-8")
    never = unreached(totals)
    for wire, names in never.items():
        sys.stderr.write(f"never reached on {wire}: {', '.join(names)}\n")
    return 1 if totals.failures or totals.lost or never or dead < len(mutants) else 0


if __name__ == "__main__":
    sys.exit(main())
