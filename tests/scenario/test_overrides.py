"""Overrides merge mappings deeply, groups by name, and replace the rest."""

from __future__ import annotations

from typing import Any

import pytest

from chatsim.scenario.overrides import merged


@pytest.mark.parametrize(
    ("base", "live", "after"),
    [
        ({"a": 1}, {}, {"a": 1}),
        ({"a": 1}, {"a": 2, "time_scale": 0.1}, {"a": 2}),
        ({"handler": {"x": 1, "y": 2}}, {"handler": {"y": 3}}, {"handler": {"x": 1, "y": 3}}),
        ({"expect": ["a", "b"]}, {"expect": ["c"]}, {"expect": ["c"]}),
        ({"costs": "default"}, {"costs": {"frame": 0}}, {"costs": {"frame": 0}}),
        ({"l": {"constant": 1}}, {"l": {"exponential": {"mean": 2}}}, {"l": {"exponential": {"mean": 2}}}),
        (
            {"groups": [{"name": "a", "users": 1, "x": 1}, {"name": "b", "users": 2}, 3]},
            {"groups": [{"name": "a", "users": 9}]},
            {"groups": [{"name": "a", "users": 9, "x": 1}, {"name": "b", "users": 2}, 3]},
        ),
        (
            {"m": {"arrivals": "poisson", "rate": "1/s"}},
            {"m": {"arrivals": "closed", "think": "1s"}},
            {"m": {"arrivals": "closed", "think": "1s"}},
        ),
        (
            {"m": {"arrivals": "poisson", "rate": "1/s"}},
            {"m": {"rate": "2/s"}},
            {"m": {"arrivals": "poisson", "rate": "2/s"}},
        ),
    ],
)
def test_merged(base: dict[str, Any], live: dict[str, Any], after: dict[str, Any]) -> None:
    assert merged({**base, "live": live}) == after


def test_the_originals_stay() -> None:
    words: dict[str, Any] = {"handler": {"x": 1}, "live": {"handler": {"x": 2}}}
    merged(words)
    assert words == {"handler": {"x": 1}, "live": {"handler": {"x": 2}}}
