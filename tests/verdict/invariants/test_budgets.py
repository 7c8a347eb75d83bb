"""What the two algorithms that do not slide have room for."""

from __future__ import annotations

from chatsim.verdict.invariants.budgets import BUDGETS, BucketBudget, FixedBudget


def test_a_window_has_so_many_and_begins_anew_at_its_edge() -> None:
    made = FixedBudget(2, 10.0)
    assert [made.take(at) for at in (8.0, 9.0, 9.9, 10.0, 10.0, 10.1)] == [True, True, False, True, True, False]
    assert (made.refuses(19.9), made.refuses(20.0)) == (True, False)


def test_a_bucket_has_as_many_at_once_and_then_fills_evenly() -> None:
    made = BucketBudget(2, 10.0)
    assert [made.take(at) for at in (0.0, 0.0, 4.9, 5.0, 5.0)] == [True, True, False, True, False]
    assert (made.refuses(9.9), made.refuses(10.1)) == (True, False)
    # However long nobody writes, there is room for no more than that.
    assert [made.take(100.0) for _ in range(3)] == [True, True, False]


def test_what_came_to_nothing_may_count_or_not() -> None:
    for made in (FixedBudget(1, 10.0), BucketBudget(1, 10.0)):
        made.take(1.0)
        made.give_back(1.0, surely=False)
        assert made.refuses(1.0)
        assert made.take(1.0)
        assert not made.take(1.0)


def test_what_surely_came_to_nothing_counts_for_nothing() -> None:
    for made in (FixedBudget(2, 10.0), BucketBudget(2, 10.0)):
        made.take(1.0)
        made.take(1.0)
        assert made.refuses(1.0)
        for _ in range(2):
            made.give_back(1.0, surely=True)
        assert not made.refuses(1.0)
        assert [made.take(1.0) for _ in range(3)] == [True, True, False]
        assert made.refuses(1.0)


def test_a_bucket_that_is_full_is_given_back_nothing() -> None:
    made = BucketBudget(1, 10.0)
    made.take(0.0)
    made.refuses(10.0)
    made.give_back(0.0, surely=True)
    assert [made.take(10.0), made.take(10.0)] == [True, False]


def test_what_came_to_nothing_in_another_window_changes_nothing() -> None:
    made = FixedBudget(1, 10.0)
    made.take(9.0)
    made.take(10.0)
    made.give_back(9.0, surely=True)
    assert made.refuses(10.0)
    assert not made.take(10.0)


def test_a_limit_of_none_lets_nothing_through() -> None:
    for kind in BUDGETS.values():
        made = kind(0, 10.0)
        assert not made.take(0.0)
        assert made.refuses(0.0)
