"""What contradicts what, whatever else is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from chatsim.scenario.contradictions import contradictions
from chatsim.scenario.faults import dotted
from tests.scenario.examples import group, mapping


@pytest.mark.parametrize(
    ("changes", "path", "hint"),
    [
        ({"warmup": "60s"}, "warmup", "shorten"),
        ({"warmup": "1h"}, "warmup", "shorten"),
        ({"groups": [group(), group()]}, "groups[1].name", "earlier group"),
        ({"groups": [group(session_size=4)]}, "groups[0].session_size", "more than the group's 3 users"),
        ({"groups": [group(arrive_over="61s")]}, "groups[0].arrive_over", "never arrive"),
        ({"events": [{"at": "60s", "do": "drop"}]}, "events[0].at", "before the end"),
        ({"events": [{"at": "1h", "do": "drain_node"}]}, "events[0].at", "before the end"),
        ({"events": [{"at": "1s", "do": "drop", "group": "b"}]}, "events[0].group", "unknown group 'b'"),
        ({"events": [{"at": "1s", "do": "drop", "share": "1%", "count": 1}]}, "events[0].count", "keep one"),
        ({"events": [{"at": "1s", "do": "end_session", "ttl": "9s"}]}, "events[0].ttl", "say with for"),
        ({"events": [{"at": "1s", "do": "drop", "count": 4}]}, "events[0].count", "more than the 3 users"),
        ({"events": [{"at": "1s", "do": "drop", "group": "a", "count": 4}]}, "events[0].count", "more than the 3"),
        (
            {"groups": [group(), group(name="b")], "events": [{"at": "1s", "do": "arrive", "users": 1}]},
            "events[0].group",
            "more than one: a, b",
        ),
        ({"expect": ["p99(ack_latency, group=b) <= 1s"]}, "expect[0]", "unknown group 'b'"),
        (
            {"log": {"store": "memory"}, "events": [{"at": "1s", "do": "crash_node", "down": "1s"}]},
            "log.store",
            "write sqlite",
        ),
    ],
)
def test_each_contradiction(changes: dict[str, Any], path: str, hint: str) -> None:
    for words in (mapping(**changes), {**mapping(**changes), "name": 3, "seed": "x", "costs": []}):
        found = contradictions(words)
        assert [dotted(at) for at, _ in found] == [path]
        assert hint in found[0][1]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"warmup": "59s"},
        {"log": {"store": "sqlite"}, "events": [{"at": "1s", "do": "crash_node", "down": "1s"}]},
        {"log": {"store": "memory"}, "events": [{"at": "1s", "do": "drop"}]},
        {"groups": [group(session_size=3, arrive_over="60s")]},
        {"events": [{"at": "59s", "do": "drop", "group": "a", "count": 3}]},
        {"events": [{"at": "1s", "do": "arrive", "users": 100}]},
        {"events": [{"at": "1s", "do": "end_session", "ttl": "9s", "for": "1s"}]},
        {"warmup": "soon", "duration": 3},
        {"groups": 3, "events": 3, "expect": 3},
        {
            "groups": [3, {}, {"name": [], "users": "x"}],
            "events": [3, {"do": [], "group": [], "at": {}}],
            "expect": [3],
        },
    ],
)
def test_what_is_no_contradiction(changes: dict[str, Any]) -> None:
    assert contradictions(mapping(**changes)) == []
