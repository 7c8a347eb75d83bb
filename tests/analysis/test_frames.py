"""The tables of a run hold what its rows hold, under the same names and dtypes whatever happened."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import inf, nan
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pytest
from msgspec import Raw

from chatsim.analysis import frames
from chatsim.core.effects import Append, Record
from chatsim.journal.record import RunRecord, Sent
from chatsim.journal.steps import Step, read
from chatsim.sim.run import simulate
from chatsim.timeline.story import Story
from chatsim.verdict.metrics import Metrics, counters
from tests.sim.worlds import scenario
from tests.timeline.talk import unheard

EMPTY = RunRecord([], {}, {}, {}, {}, [], [], [], [], [], [], {}, 100.0, 0.0)


@lru_cache(maxsize=1)
def played() -> tuple[RunRecord, Story]:
    """A run with people who vanish, drop and are refused, and what its journal tells."""
    group = {"users": 9, "session_size": 3, "messages": {"arrivals": "poisson", "rate": "40/min"}}
    faults = ({"at": "20s", "do": "drop", "count": 2}, {"at": "30s", "do": "vanish", "count": 1})
    world = scenario(*faults, group=group, handler={"rate_limit": "30/min"}, warmup="10s", duration="1min")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "journal.jsonl"
        record = simulate(world, journal=path).record
        return record, Story(read(path))


def dtypes(frame: pd.DataFrame) -> Mapping[Any, str]:
    return {name: str(dtype) for name, dtype in frame.dtypes.items()}


def test_messages_have_the_latencies_that_are_judged() -> None:
    record, _ = played()
    frame = frames.messages(record)
    assert dtypes(frame) == frames.MESSAGES
    measured = frame[frame.measured]
    metrics = Metrics(record)
    latencies = np.sort(measured.delivery_latency_s.dropna())
    np.testing.assert_array_equal(latencies, metrics.samples("delivery_latency"))
    acks = np.sort(measured.drop_duplicates(["sender", "message_id"]).ack_latency_s.dropna())
    np.testing.assert_array_equal(acks, metrics.samples("ack_latency"))


def test_messages_count_what_the_counters_count() -> None:
    record, _ = played()
    frame, counted = frames.messages(record), counters(record)
    assert counted["rate_limited"] > 0
    assert frame.message_id.nunique() == counted["accepted"]
    assert frame.message_id.isna().sum() == counted["sent"] - counted["accepted"]
    assert (frame.outcome == "delivered").sum() == counted["delivered"]


def test_a_message_that_was_refused_or_never_heard_of_says_so() -> None:
    record = RunRecord([], {}, {}, {}, {}, [], [], [], [], [], [], {}, 100.0, 5.0)
    record.sent = [Sent("a", "g", "s", "1", 1.0, float("nan"), ""), Sent("a", "g", "s", "2", 6.0, float("nan"), "")]
    record.accepted = {("a", "2"): "m"}
    record.owed = {"m": {"b": "expired", "c": "waiting", "d": "delivered"}}
    record.receipts = {"m": {"d": 7.5}}
    frame = frames.messages(record)
    assert frame.measured.tolist() == [False, True, True, True]
    assert frame.receiver.isna().tolist() == [True, False, False, False]
    # The one that was refused, then those who gave it up, wait for it and have it.
    assert frame.ack_latency_s.tolist() == pytest.approx([nan, inf, inf, inf], nan_ok=True)
    assert frame.delivery_latency_s.tolist() == pytest.approx([nan, inf, nan, 1.5], nan_ok=True)


def test_connections_are_those_of_the_journal() -> None:
    record, story = played()
    frame = frames.connections(story, record.groups)
    assert dtypes(frame) == frames.CONNECTIONS
    # Nine people, two who came back after a drop; who vanished never did.
    assert len(frame) == 11
    assert set(frame.group) == {"g"}
    over = frame[frame.end.notna()]
    assert len(over) == 3
    assert (over.lasted_s == over.closed_at_s - over.opened_at_s).all()
    assert (frame[frame.end.isna()].closed_at_s == inf).all()
    assert "close 4001" in " ".join(over.end)


def test_events_say_whom_they_touched() -> None:
    record, _ = played()
    frame = frames.events(record)
    assert dtypes(frame) == frames.EVENTS
    assert frame.event.tolist() == ["drop", "vanish"]
    assert frame.users.tolist() == [2, 1]
    assert frame.whom[0].split() == list(record.fired[0].users)
    assert frame.lasts_s.tolist() == [0.0, inf]


def test_attempts_are_those_of_the_protocol() -> None:
    talk = unheard()
    frame = frames.attempts(Story(talk.steps), {"bob": "g"})
    assert dtypes(frame) == frames.ATTEMPTS
    assert frame.attempt.tolist() == [1, 2, 3, 4]
    assert frame.at_s.tolist() == [1.0, 31.0, 61.0, 91.0]
    assert set(frame.settled_at_s) == {121.0}
    assert (set(frame.outcome), set(frame.receiver), set(frame.group)) == ({"no_ack"}, {"bob"}, {"g"})


def test_attempts_count_the_retries() -> None:
    record, story = played()
    frame = frames.attempts(story, record.groups)
    assert counters(record)["retries"] == (frame.attempt > 1).sum()


@pytest.mark.parametrize("every_s", [0.5, 1.0, 7.0])
def test_series_add_up_to_what_happened(every_s: float) -> None:
    record, story = played()
    frame = frames.series(story, every_s)
    assert dtypes(frame) == frames.SERIES
    assert (frame.at_s.diff().dropna() == every_s).all()
    assert frame.at_s.iloc[-1] >= story.ends_at
    counted = counters(record)
    assert frame.stored_per_s.sum() * every_s == pytest.approx(counted["accepted"])
    assert frame.delivered_per_s.sum() * every_s == pytest.approx(counted["delivered"])
    assert frame.connections.max() <= counted["connections_peak"]
    assert (frame[["waiting", "in_log", "connections"]] >= 0).all(axis=None)
    assert frame.waiting.iloc[-1] == frame.in_log.iloc[-1] == 0


def test_series_show_who_is_connected_at_the_end_of_each_interval() -> None:
    record, story = played()
    table = frames.connections(story, record.groups)
    for at, connected in zip(frames.series(story).at_s, frames.series(story).connections, strict=True):
        assert connected == ((table.opened_at_s <= at) & (table.closed_at_s > at)).sum()


def test_what_the_log_refused_is_not_stored() -> None:
    record = Record("s", "a", "c1", "1", Raw(b"1"), 0.0, 1)
    steps = [Step(1.0, "wake", (), (Append(record),)), Step(2.5, "append_failed", (record,), ())]
    frame = frames.series(Story(steps))
    assert frame.in_log.tolist() == [1, 1, 0]
    assert frame.stored_per_s.sum() == 0


def test_a_table_without_rows_is_like_any_other() -> None:
    nothing = Story([])
    for frame, columns in (
        (frames.messages(EMPTY), frames.MESSAGES),
        (frames.connections(nothing, {}), frames.CONNECTIONS),
        (frames.events(EMPTY), frames.EVENTS),
        (frames.attempts(nothing, {}), frames.ATTEMPTS),
        (frames.series(nothing), frames.SERIES),
    ):
        assert dtypes(frame) == columns
        assert frame.empty
