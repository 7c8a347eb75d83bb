"""The page that a campaign leaves."""

from __future__ import annotations

from chatsim.explore.campaign import Totals
from chatsim.explore.report import page
from chatsim.verdict.invariants.catalogue import INVARIANTS
from chatsim.verdict.sometimes import SOMETIMES


def totals() -> Totals:
    made = Totals(seeds=2000, runs=2100, twice=100, simulated_s=7200.0, wall_s=4.0, messages=12345)
    made.by_wire, made.fired, made.reached = {"sim": 2000, "virtual": 100}, {"drop": 7}, {"retried": 5}
    return made


def test_every_figure_is_on_it() -> None:
    text = page(totals(), (25, 25), "CPython.")
    for row in (
        "| seeds run | 2,000 |",
        "| runs | 2,000 on sim, 100 on virtual |",
        "| simulated hours | 2.0 |",
        "| mutants killed | 25 of 25 |",
        "| simulated seconds a second of the wall clock | 1,800 |",
        f"| `sometimes` reached | 1 of {len(SOMETIMES)} |",
        "| drop | 7 |",
    ):
        assert row in text
    assert all(f"| {name} |" in text for name in (*INVARIANTS, *SOMETIMES))


def test_mutants_may_be_left_out() -> None:
    assert "| mutants killed | not tried |" in page(totals())
