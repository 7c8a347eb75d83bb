"""What was raised is named with its origin."""

from __future__ import annotations

import pytest

from chatsim.errors import HarnessError, UnbalancedError
from chatsim.network.link import Link
from chatsim.verdict.raised import raised


def test_what_is_raised_is_named_where_it_came_from() -> None:
    def broken() -> None:
        try:
            dict[str, int]()["here"]
        except KeyError as problem:
            raise HarnessError("passed on") from problem

    with pytest.raises(HarnessError) as told:
        broken()
    found = raised(told.value, 2.5)
    assert (found.name, found.at) == ("calm", 2.5)
    assert found.detail.startswith("KeyError: 'here' (test_raised.py:")
    assert "broken" in found.detail


def test_what_does_not_add_up_is_no_accident() -> None:
    assert raised(UnbalancedError("7 receivers and 6 waiting")).name == "ledger"


def test_a_file_of_the_package_is_named_from_its_top_on() -> None:
    with pytest.raises(AssertionError) as problem:
        Link(loss=2.0)
    assert "(network/link.py:" in raised(problem.value).detail
