"""How an answer is said: a number beside its interval, and a sentence where there is none."""

from __future__ import annotations

from math import isnan

from chatsim.analysis.capacity_found import CURVE, SWINGS, answer, fleet, limit_said
from tests.analysis.capacity_made import finding


def test_a_number_stands_beside_its_interval_and_what_binds() -> None:
    assert answer(finding()) == (
        "One node carries 1,000 users within `p99(delivery_latency) <= 100ms`: the limit is crossed between 1,000 and "
        "1,020 (95 % sure), most likely above 1,000; the event loop binds it, busy for 97 %."
    )


def test_none_is_no_number() -> None:
    said = answer(finding(outcome="none", low=0, high=10, near=0, plan=None))
    assert said.startswith("None: `p99(delivery_latency) <= 100ms` is missed already by the smallest load, 10 users;")
    assert answer(finding(outcome="none", low=0, high=1)).count("1 user;") == 1


def test_what_no_resource_binds_is_said_to_be_elsewhere() -> None:
    said = answer(finding(outcome="none", low=0, high=10, binding="no resource of the node"))
    assert "the time is spent elsewhere, as in the network" in said


def test_more_than_tried_is_no_number() -> None:
    said = answer(finding(outcome="more", low=20_000, high=0))
    assert said.startswith("More than 20,000 users, the most that were tried")
    assert "--most" in said


def test_what_is_not_decided_says_what_is_known() -> None:
    assert answer(finding(outcome="undecided", low=0, high=900)) == (
        "Undecided: no load passed for sure, 900 users fail, and between them the runs are too few to tell."
    )
    assert "1,000 users pass, none failed for sure" in answer(finding(outcome="undecided", low=1000, high=0))


def test_a_fleet_is_said_with_its_cost_where_there_is_a_price() -> None:
    assert fleet(finding()) == (
        "1,000,000 users need 1,429 nodes at 30 % headroom, one of which may be lost, 285.80 an hour (208,634 a month)."
    )
    assert fleet(finding(plan=None)) == ""


def test_it_shows_itself_by_its_answer() -> None:
    assert repr(finding()) == f"{answer(finding())}\n{fleet(finding())}"
    assert repr(finding(plan=None)) == answer(finding())


def test_the_curve_has_a_row_for_each_load() -> None:
    curve = finding().curve
    assert list(curve.columns) == list(CURVE)
    assert curve["users"].tolist() == [250, 700, 1000, 1020, 1200]
    assert curve["verdict"].tolist() == ["", "", "pass", "fail", ""]
    # 9,500 works a second of 0.1 ms: rho 0.95, and 9500 * 2e-8 / (2 * 0.05).
    assert abs(curve["theory_wait_s"][2] - 0.0019) < 1e-9
    assert curve["p99_low_s"].le(curve["p99_s"]).all()


def test_the_widest_swing_comes_first_and_what_was_not_tried_last() -> None:
    swings = finding().tornado
    assert list(swings.columns) == list(SWINGS)
    assert swings["factor"].tolist() == ["room size"] * 2 + ["message rate"] * 2 + ["retry interval"]
    assert swings["change"][0] == 1.0
    assert isnan(swings["change"][4])
    assert swings["why"][4] == "too short"


def test_the_runs_are_counted_and_the_limit_is_said() -> None:
    assert finding().runs == 14
    assert limit_said(finding()) == "100 ms"
