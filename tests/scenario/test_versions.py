"""Which words tell a version of a scenario from another."""

from __future__ import annotations

from typing import Any

import pytest

from chatsim.scenario.versions import differing

BEFORE: dict[str, Any] = {"name": "small", "duration": "10s", "expect": ["lost == 0"], "live": {"time_scale": 0.1}}


@pytest.mark.parametrize(
    ("words", "virtual", "live"),
    [
        ({}, [], []),
        ({"description": "other", "tags": ["a"], "requirements": ["5.3"]}, [], []),
        ({"live": {"time_scale": 0.5}}, [], ["live"]),
        ({"duration": "20s", "seed": 2}, ["duration", "seed"], ["duration", "seed"]),
    ],
)
def test_what_is_only_said_about_it_is_no_other_version(
    words: dict[str, Any], virtual: list[str], live: list[str]
) -> None:
    now = BEFORE | words
    assert differing(BEFORE, now, live=False) == differing(now, BEFORE, live=False) == virtual
    assert sorted(differing(now, BEFORE, live=True)) == sorted(live)


def test_what_is_asked_for_only_is_left_out() -> None:
    now = BEFORE | {"expect": []}
    assert differing(BEFORE, now, live=False) == ["expect"]
    assert differing(BEFORE, now, live=False, beside=("expect",)) == []
