"""The rows of one run as tables: what was said, who was connected, what was done, and how it went over time.

Decides columns and dtypes. Rule: every column of numbers has its unit in its name, and a table without rows has the
same columns and dtypes as one with rows, so that the tables of many runs stand under each other.
What the numbers mean is the verdict's affair; here nothing is left out and nothing rounded.

Texts are pandas' `string`, with <NA> where there is none; moments and durations are float64 in seconds from the run's
start: inf for what never came, NaN for what cannot be said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import ceil, inf, nan
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from chatsim.journal.record import WAITING, RunRecord
from chatsim.timeline.story import Story

MESSAGES: Final = {
    "message_id": "string",
    "sender": "string",
    "group": "string",
    "session": "string",
    "receiver": "string",
    "outcome": "string",
    "measured": "bool",
    "intended_at_s": "float64",
    "acked_at_s": "float64",
    "received_at_s": "float64",
    "ack_latency_s": "float64",
    "delivery_latency_s": "float64",
}
"""One row for each message and receiver, and one for a message without any. `outcome` is delivered, waiting, forgotten,
the reason why it was given up, <NA> for one that nobody was to have, or that the log did not take. `measured` says that
it was meant to be sent after the warm-up; the latencies are those of `delivery_latency` and `ack_latency`."""

CONNECTIONS: Final = {
    "connection": "string",
    "user": "string",
    "group": "string",
    "opened_at_s": "float64",
    "closed_at_s": "float64",
    "lasted_s": "float64",
    "end": "string",
}
"""One row for each connection that a node accepted; `end` is <NA> and `closed_at_s` inf for one open at the end."""

EVENTS: Final = {
    "event": "string",
    "at_s": "float64",
    "users": "int64",
    "whom": "string",
    "vain": "bool",
    "lasts_s": "float64",
}
"""One row for each fault that the scenario did: how many users it touched, their names with blanks between, and how
long it went on: 0 for what is done in a moment, inf for what nobody took back."""

ATTEMPTS: Final = {
    "message_id": "string",
    "session": "string",
    "sender": "string",
    "receiver": "string",
    "group": "string",
    "attempt": "int64",
    "at_s": "float64",
    "settled_at_s": "float64",
    "outcome": "string",
}
"""One row for each time that the server sent a message to a receiver, counted from 1, with what became of it in the end
and when (`settled_at_s` inf while it waits); `group` is the receiver's."""

SERIES: Final = {
    "at_s": "float64",
    "connections": "int64",
    "waiting": "int64",
    "in_log": "int64",
    "stored_per_s": "float64",
    "delivered_per_s": "float64",
}
"""One row for each interval, named after its end: the connections that are open then, the messages that some receiver
has not acked (each receiver counts), those that the log has not answered, and what was stored and acked by receivers
within the interval."""


def _frame(columns: Mapping[str, str], rows: Iterable[Sequence[Any]]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(columns)).astype(dict(columns))


def messages(record: RunRecord) -> pd.DataFrame:
    """What was said, and what each receiver had of it: the columns of `MESSAGES`."""
    rows: list[tuple[Any, ...]] = []
    for sent in record.sent:
        message_id = record.accepted.get((sent.user, sent.id))
        measured = sent.intended_at >= record.warmup_s
        # An accepted message whose sender never heard so took for ever; one that was refused has no latency.
        unheard = nan if message_id is None else inf
        ack_s = unheard if sent.acked_at != sent.acked_at else sent.acked_at - sent.intended_at
        seen = record.receipts.get(message_id, {}) if message_id is not None else {}
        owed = record.owed.get(message_id, {}) if message_id is not None else {}
        for receiver, outcome in owed.items() or ((None, WAITING),):
            at = nan if receiver is None else seen.get(receiver, nan if outcome == WAITING else inf)
            rows.append(
                (
                    message_id,
                    sent.user,
                    sent.group,
                    sent.session,
                    receiver,
                    None if receiver is None else outcome,
                    measured,
                    sent.intended_at,
                    sent.acked_at,
                    at,
                    ack_s,
                    at - sent.intended_at,
                )
            )
    return _frame(MESSAGES, rows)


def connections(story: Story, groups: Mapping[str, str]) -> pd.DataFrame:
    """Who was connected when: the columns of `CONNECTIONS`. `groups` maps each user to her group."""
    return _frame(
        CONNECTIONS,
        (
            (
                line.name,
                line.user,
                groups.get(line.user, pd.NA),
                line.opened_at,
                line.closed_at,
                line.closed_at - line.opened_at,
                line.end or pd.NA,
            )
            for line in story.lines
        ),
    )


def events(record: RunRecord) -> pd.DataFrame:
    """What the scenario did to whom: the columns of `EVENTS`."""
    return _frame(EVENTS, ((e.do, e.at, len(e.users), " ".join(e.users), e.vain, e.lasts_s) for e in record.fired))


def attempts(story: Story, groups: Mapping[str, str]) -> pd.DataFrame:
    """When each message was sent to each receiver, and sent again: the columns of `ATTEMPTS`."""
    return _frame(
        ATTEMPTS,
        (
            (d.message_id, d.session, d.sender, d.user, groups.get(d.user, pd.NA), number, at, d.settled_at, d.outcome)
            for d in story.deliveries
            for number, at in enumerate(d.sent_at, 1)
        ),
    )


def series(story: Story, every_s: float = 1.0) -> pd.DataFrame:
    """How it went over time, in intervals of `every_s` seconds to the end of the run: the columns of `SERIES`."""
    assert every_s > 0
    ends = every_s * np.arange(1, ceil(story.ends_at / every_s) + 1, dtype=np.float64)

    def until(moments: Iterable[float]) -> npt.NDArray[np.int64]:
        """How many of the moments lie at the end of each interval or before."""
        ordered = np.sort(np.fromiter(moments, dtype=np.float64))
        return np.searchsorted(ordered, ends, side="right").astype(np.int64)

    opened, closed = until(line.opened_at for line in story.lines), until(line.closed_at for line in story.lines)
    owed = until(delivery.stored_at for delivery in story.deliveries)
    settled = until(delivery.settled_at for delivery in story.deliveries)
    acked = until(d.settled_at for d in story.deliveries if d.outcome == "delivered")
    asked = until(storing.asked_at for storing in story.storings)
    stored = until(storing.stored_at for storing in story.storings if storing.kept)
    answered = until(storing.stored_at for storing in story.storings)
    columns = {
        "at_s": ends,
        "connections": opened - closed,
        "waiting": owed - settled,
        "in_log": asked - answered,
        "stored_per_s": np.diff(stored, prepend=0) / every_s,
        "delivered_per_s": np.diff(acked, prepend=0) / every_s,
    }
    return pd.DataFrame(columns).astype(SERIES)
