"""The page that a campaign leaves."""

from __future__ import annotations

from chatsim.explore.agreement import LEFT_OUT, NOTICES, UNREAD
from chatsim.explore.campaign import Totals
from chatsim.explore.draw import UNDRAWN
from chatsim.explore.play import AGREEMENT_EVERY
from chatsim.explore.reach import OUT_OF_REACH
from chatsim.explore.report import page
from chatsim.verdict.invariants.catalogue import INVARIANTS
from chatsim.verdict.sometimes import SOMETIMES


def totals() -> Totals:
    made = Totals(seeds=2000, runs=2100, twice=100, simulated_s=7200.0, wall_s=4.0, messages=12345)
    made.by_wire, made.fired, made.reached = {"sim": 2000, "virtual": 100, "agreement": 50}, {"drop": 7}, {"retried": 5}
    made.reached_on = {"sim": {"retried": 5, "shedding": 1200}, "virtual": {"retried": 2}}
    made.simulated_on = {"sim": 6000.0, "virtual": 800.0, "agreement": 400.0}
    made.took_on = {"sim": 5.0, "virtual": 3.2, "agreement": 0.8}
    made.left_out = {"": 46, UNREAD: 3, NOTICES: 1}
    return made


def test_every_figure_is_on_it() -> None:
    text = page(totals(), (25, 25), "CPython.")
    for row in (
        "| seeds run | 2,000 |",
        "| runs | 2,000 on sim, 100 on virtual, 50 on both, compared |",
        "| seeds compared on both wires to the end | 46 of 50 |",
        "| simulated hours | 2.0 |",
        "| mutants killed | 25 of 25 |",
        "| simulated seconds a second of the wall clock | 1,800 |",
        "| the same in one process, by wire | 1,200 on sim, 250 on virtual, 500 on both, compared |",
        f"| `sometimes` reached | 2 of {len(SOMETIMES)} on sim, 1 of {len(SOMETIMES) - 1} on virtual |",
        f"| retried | 5 of 2,050 | 2 of 150 | {SOMETIMES['retried']} |",
        f"| shedding | 1,200 of 2,000 | 0 of 100 | {SOMETIMES['shedding']} |",
        f"| held_back | 0 of 2,000 | - | {SOMETIMES['held_back']} |",
        f"| held_back | on virtual | {OUT_OF_REACH['virtual']['held_back']} |",
        f"| one_instant | on both, compared | {OUT_OF_REACH['agreement']['one_instant']} |",
        "| drop | 7 |",
        f"| {UNREAD} | 3 | {LEFT_OUT[UNREAD]} |",
        f"| {NOTICES} | 1 | {LEFT_OUT[NOTICES]} |",
    ):
        assert row in text
    assert all(f"| {name} |" in text for name in (*INVARIANTS, *SOMETIMES))
    assert all(f"| {what} | {why} |" in text for what, why in UNDRAWN["run"].items())
    assert f"one seed in {AGREEMENT_EVERY} has that" in text.replace("\n", " ")


def test_mutants_may_be_left_out() -> None:
    assert "| mutants killed | not tried |" in page(totals())


def test_where_nothing_was_measured_or_compared_nothing_is_claimed() -> None:
    text = page(Totals(seeds=1, by_wire={"sim": 1}))
    assert "| the same in one process, by wire | not measured |" in text
    assert "| seeds compared on both wires to the end | not tried |" in text
    assert f"| `sometimes` reached | 0 of {len(SOMETIMES)} on sim |" in text
    assert "compared no further" not in text
