"""Outcomes: the worst one decides, and nothing run is never a success."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatsim.cli.execute import BROKEN, FAILED, INCONCLUSIVE, PASSED, USAGE, Outcome, document, execute, loaded, worst
from chatsim.errors import HarnessError, UsageError
from tests.cli.fakes import Fakes, FakeScenario

CODES = st.sampled_from([PASSED, FAILED, INCONCLUSIVE, USAGE, BROKEN])


def outcomes(codes: list[int]) -> list[Outcome]:
    return [Outcome("s", "sim", 1, None, code, "why") for code in codes]


def test_nothing_run_is_three() -> None:
    assert worst([]) == USAGE
    assert document([])["verdict"] == "invalid"


@given(st.lists(CODES, min_size=1))
def test_zero_only_if_all_passed_and_order_does_not_matter(codes: list[int]) -> None:
    assert (worst(outcomes(codes)) == PASSED) == (set(codes) == {PASSED})
    assert worst(outcomes(codes)) == worst(outcomes(codes[::-1]))
    assert worst(outcomes(codes)) in codes


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        # What could not be judged hides no broken promise.
        ([0, 1, 4], 1),
        ([0, 1, 3], 1),
        ([4, 3, 2, 1, 0], 1),
        ([1, 2], 1),
        ([0, 4, 3], 4),
        ([0, 3, 2], 3),
        ([0, 2], 2),
        ([0, 0], 0),
    ],
)
def test_precedence(codes: list[int], code: int) -> None:
    assert worst(outcomes(codes)) == code


def test_what_is_no_error_of_ours_goes_on() -> None:
    def answer(*_: object) -> object:
        raise ZeroDivisionError

    fakes = Fakes(answer=answer)  # type: ignore[arg-type]  # it never answers
    with pytest.raises(ZeroDivisionError):
        list(execute([FakeScenario()], on="sim", seed=None, out=None, runner=fakes.run, watch=lambda *_: None))


def test_errors_of_ours_become_outcomes() -> None:
    def answer(*_: object) -> object:
        raise HarnessError("no")

    fakes = Fakes(answer=answer)  # type: ignore[arg-type]  # it never answers
    found = list(execute([FakeScenario()], on="sim", seed=5, out=None, runner=fakes.run, watch=lambda *_: None))
    assert [(outcome.code, outcome.why, outcome.seed) for outcome in found] == [(BROKEN, "no", 5)]
    assert list(found[0].rows()) == [("steady", "sim", "no", "", "", "invalid")]


def test_loaded_refuses_problems_and_emptiness() -> None:
    assert loaded(([FakeScenario()], [])) == [FakeScenario()]
    with pytest.raises(UsageError, match="a\nb"):
        loaded(([FakeScenario()], ["a", "b"]))
    with pytest.raises(UsageError, match="nothing to run"):
        loaded(([], []))
