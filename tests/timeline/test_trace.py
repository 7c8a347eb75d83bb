"""The trace: slices that nest, instants for what went wrong, and counters that end where they should."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from chatsim.errors import UsageError
from chatsim.timeline import Mark, perfetto
from chatsim.timeline.trace import CONNECTIONS, LOG, RECEIVERS, SERVER
from tests.timeline.talk import Talk, unheard


def events(document: bytes) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = msgspec.json.decode(document)["traceEvents"]
    return found


def slices(document: bytes, process: int) -> list[tuple[str, float, float]]:
    return [(e["name"], e["ts"], e["dur"]) for e in events(document) if e["ph"] == "X" and e["pid"] == process]


def overlapping() -> Talk:
    """Three messages on their way to two people at once, over a slow log."""
    talk = Talk(log_s=0.0)
    for conn, user in (("c1", "ann"), ("c2", "bob"), ("c3", "cem")):
        talk.enter(0.0, conn, user)
    for number in range(3):
        talk.say(1.0 + number, "c1", str(number))
    talk.ack(5.0, "c2", 3)
    talk.ack(6.0, "c3", 2)
    return talk


def test_times_are_microseconds_and_every_event_is_of_a_known_kind() -> None:
    document = perfetto(unheard().steps, title="unheard")
    assert {event["ph"] for event in events(document)} == {"M", "X", "i", "C"}
    assert slices(document, RECEIVERS) == [("s #1 no_ack", 1e6, 120e6)]
    assert slices(document, LOG) == [("append hi", 1e6, 0.0)]
    assert msgspec.json.decode(document)["otherData"]["title"] == "unheard"


def test_slices_of_one_track_never_cross() -> None:
    tracks = defaultdict(list)
    for event in events(perfetto(overlapping().steps)):
        if event["ph"] == "X":
            tracks[event["pid"], event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
    assert len([track for track in tracks if track[0] == RECEIVERS]) == 6
    for spans in tracks.values():
        spans.sort()
        assert all(before[1] <= after[0] for before, after in pairwise(spans))


def test_every_track_has_a_name() -> None:
    found = events(perfetto(overlapping().steps))
    named = {(e["pid"], e["tid"]) for e in found if e["ph"] == "M" and e["name"] == "thread_name"}
    assert {(e["pid"], e["tid"]) for e in found if e["ph"] in "Xi"} <= named


def test_retries_and_closes_are_instants_on_their_connection() -> None:
    talk = unheard()
    talk.do(150.0, "revoke", None, "bob")
    found = events(perfetto(talk.steps, marks=[Mark(20.0, "revoke: 1 person")]))
    instants = [(e["name"], e["tid"]) for e in found if e["ph"] == "i" and e["pid"] == CONNECTIONS]
    assert instants == [
        *((f"attempt {n}: s #1 of ann", 2) for n in (2, 3, 4)),
        ("UNDELIVERED #1 to bob: no_ack", 1),
        ("close 4501 token revoked (c2)", 2),
    ]
    on_server = [e["name"] for e in found if e["ph"] == "i" and e["pid"] == SERVER]
    assert on_server == ["revoke: 1 person", "revoke all tokens of bob"]


def test_counters_follow_connections_and_what_waits() -> None:
    found = events(perfetto(overlapping().steps))
    waiting = [(e["ts"] / 1e6, e["args"][e["name"]]) for e in found if e["ph"] == "C" and "waiting" in e["name"]]
    assert waiting == [(0.0, 0), (1.0, 2), (2.0, 4), (3.0, 6), (5.0, 3), (6.0, 1)]
    connections = [e["args"][e["name"]] for e in found if e["ph"] == "C" and e["name"] == "connections"]
    assert connections == [3]


def test_a_range_cuts_slices_and_begins_with_what_is_so() -> None:
    document = perfetto(overlapping().steps, start=2.5, end=4.0, users=["bob"])
    assert slices(document, CONNECTIONS) == [("c2", 2.5e6, 1.5e6)]
    assert slices(document, RECEIVERS) == [("s #1", 2.5e6, 1.5e6), ("s #2", 2.5e6, 1.5e6), ("s #3", 3e6, 1e6)]
    found = events(document)
    assert [e["args"][e["name"]] for e in found if e["ph"] == "C" and "waiting" in e["name"]] == [4, 6]


def test_a_wrong_range_is_one_sentence() -> None:
    with pytest.raises(UsageError, match="nobody is called eve"):
        perfetto(unheard().steps, users=["eve"])
