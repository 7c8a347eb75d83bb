"""A run as a trace that ui.perfetto.dev and chrome://tracing open (the trace event format, JSON).

Decides the tracks: one for each connection, some for each receiver (a message from stored to acked), some for the log,
one for the server, and counters. Rule: slices of one track never cross, so what overlaps gets a track beside it.
Which part of a run it is, is left to `choice`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from math import inf
from typing import Any, Final, TypeAlias

import msgspec

from chatsim.journal.steps import Step
from chatsim.timeline.choice import Range
from chatsim.timeline.story import Line, Mark, Row, Story
from chatsim.timeline.svg import clean
from chatsim.timeline.words import Tone

Event: TypeAlias = dict[str, Any]

SERVER, CONNECTIONS, RECEIVERS, LOG = 1, 2, 3, 4
_PROCESSES: Final = {
    SERVER: "server",
    CONNECTIONS: "connections",
    RECEIVERS: "messages, from stored to acked, for each receiver",
    LOG: "log, from append to stored",
}
_COLOURS: Final[dict[Tone, str]] = {"error": "terrible", "close": "bad", "retry": "olive", "good": "good"}
"""Names that chrome://tracing has colours for; Perfetto colours by name."""

_OUTCOMES: Final = {"delivered": "good", "waiting": "olive"}


def perfetto(
    steps: Iterable[Step],
    *,
    start: float | None = None,
    end: float | None = None,
    users: Iterable[str] = (),
    session: str = "",
    title: str = "",
    marks: Iterable[Mark] = (),
) -> bytes:
    """The trace of some steps of a journal, from the first one on, as one JSON document.

    `start` and `end` are moments in seconds of the steps' own clock (none: no bound); in the document, times are in
    microseconds. Raises UsageError where nobody is there to be shown.
    """
    return write(Story(steps, marks), Range(start, end, tuple(users), session), title)


def write(story: Story, asked: Range, title: str) -> bytes:
    """The trace of what was asked for. Raises UsageError where that is wrong."""
    asked.check(story)
    document = {
        "traceEvents": list(_Trace(story, asked).events()),
        "displayTimeUnit": "ms",
        "otherData": {"title": title, "clock": "seconds of the server's journal"},
    }
    return msgspec.json.encode(document)


class _Trace:
    """One trace while it is written."""

    def __init__(self, story: Story, asked: Range) -> None:
        self.story = story
        self.asked = asked
        self.start = asked.start or 0.0
        self.end = story.ends_at if asked.end is None else min(asked.end, story.ends_at)
        self.wanted = asked.wants(story)
        self.lines = [
            line for line in story.lines if line.user in self.wanted and self._within(line.opened_at, line.closed_at)
        ]
        self.tracks = {id(line): number for number, line in enumerate(self.lines, 1)}

    def events(self) -> Iterator[Event]:
        """All events: the names of tracks, slices, instants, counters."""
        for process, name in _PROCESSES.items():
            yield _meta(process, 0, "process_name", name=name)
            yield _meta(process, 0, "process_sort_index", sort_index=process)
        yield _meta(SERVER, 1, "thread_name", name="server")
        for line in self.lines:
            yield from self._connection(line)
        for row in self.asked.rows(self.story):
            yield from self._instants(row)
        yield from self._messages()
        yield from self._storings()
        yield from self._counters()

    def _within(self, begins: float, ends: float) -> bool:
        return begins <= self.end and ends >= self.start

    def _connection(self, line: Line) -> Iterator[Event]:
        track = self.tracks[id(line)]
        yield _meta(CONNECTIONS, track, "thread_name", name=f"{clean(line.user)} ({clean(line.name)})")
        yield _meta(CONNECTIONS, track, "thread_sort_index", sort_index=track)
        args = {"user": line.user, "connection": line.name, "ended by": line.end or "nothing: open to the end"}
        yield self._slice(CONNECTIONS, track, clean(line.name), line.opened_at, line.closed_at, args)

    def _instants(self, row: Row) -> Iterator[Event]:
        colour = _COLOURS.get(row.tone)
        if row.way in ("mark", "server", "stored") and (colour or row.way == "mark"):
            yield _instant(SERVER, 1, row, colour, scope="g" if row.way == "mark" else "t")
        if row.tone in ("error", "close", "retry"):
            for line in row.lines:
                track = self.tracks.get(id(line))
                if track is not None and row.way != "server":
                    yield _instant(CONNECTIONS, track, row, colour)

    def _messages(self) -> Iterator[Event]:
        asked = self.asked
        mine = defaultdict(list)
        for delivery in self.story.deliveries:
            if not self._within(delivery.stored_at, delivery.settled_at):
                continue
            if (asked.session and delivery.session != asked.session) or delivery.user not in self.wanted:
                continue
            args = {
                "message": delivery.message_id,
                "session": delivery.session,
                "from": delivery.sender,
                "outcome": delivery.outcome,
                "attempts": delivery.attempts,
            }
            name = f"{clean(delivery.session)} #{delivery.seq}"
            if delivery.outcome != "delivered":
                name += f" {clean(delivery.outcome)}"
            mine[delivery.user].append((delivery.stored_at, delivery.settled_at, name, args))
        yield from self._lanes(RECEIVERS, mine, lambda args: _OUTCOMES.get(args["outcome"], "terrible"))

    def _storings(self) -> Iterator[Event]:
        mine = defaultdict(list)
        for storing in self.story.storings:
            if not self._within(storing.asked_at, storing.stored_at) or storing.sender not in self.wanted:
                continue
            if self.asked.session and storing.session != self.asked.session:
                continue
            args = {"id": storing.id, "message": storing.message_id, "from": storing.sender, "kept": storing.kept}
            name = f"append {clean(storing.id)}" + ("" if storing.kept else " failed")
            mine["appends"].append((storing.asked_at, storing.stored_at, name, args))
        yield from self._lanes(LOG, mine, lambda args: "good" if args["kept"] else "terrible")

    def _lanes(self, process: int, mine: dict[str, list[Any]], colour: Any) -> Iterator[Event]:
        track = 0
        for owner in sorted(mine):
            free_at: list[float] = []
            first = track + 1
            for begins, ends, name, args in sorted(mine[owner], key=lambda each: (each[0], each[1], each[2])):
                lane = next((lane for lane, free in enumerate(free_at) if free <= begins), len(free_at))
                if lane == len(free_at):
                    free_at.append(inf)
                    track += 1
                    shown = clean(owner) if lane == 0 else f"{clean(owner)} +{lane}"
                    yield _meta(process, track, "thread_name", name=shown)
                    yield _meta(process, track, "thread_sort_index", sort_index=track)
                free_at[lane] = ends
                event = self._slice(process, first + lane, name, begins, ends, args)
                event["cname"] = colour(args)
                yield event

    def _slice(self, process: int, track: int, name: str, begins: float, ends: float, args: Event) -> Event:
        """A slice cut to the range."""
        from_ns, to_ns = _ns(max(begins, self.start)), _ns(min(ends, self.end))
        return {
            "ph": "X",
            "pid": process,
            "tid": track,
            "name": name,
            "cat": _PROCESSES[process].partition(",")[0],
            "ts": from_ns / 1000,
            "dur": (to_ns - from_ns) / 1000,
            "args": args,
        }

    def _counters(self) -> Iterator[Event]:
        """How many connections are open and how many messages wait for an ack, of everybody."""
        deliveries = self.story.deliveries
        yield from self._counter("connections", [(line.opened_at, line.closed_at) for line in self.story.lines])
        yield from self._counter("waiting for an ack", [(each.stored_at, each.settled_at) for each in deliveries])

    def _counter(self, name: str, spans: list[tuple[float, float]]) -> Iterator[Event]:
        changes: dict[float, int] = defaultdict(int)
        for begins, ends in spans:
            # What began before the range is counted from its start.
            changes[max(begins, self.start)] += 1
            changes[max(ends, self.start)] -= 1
        value = 0
        changes.setdefault(self.start, 0)
        for at in sorted(changes):
            value += changes[at]
            if at <= self.end and (changes[at] or at == self.start):
                yield {"ph": "C", "pid": SERVER, "name": name, "ts": _ns(at) / 1000, "args": {name: value}}


def _ns(at: float) -> int:
    return round(at * 1e9)


def _meta(process: int, track: int, what: str, **args: str | int) -> Event:
    return {"ph": "M", "pid": process, "tid": track, "name": what, "args": args}


def _instant(process: int, track: int, row: Row, colour: str | None, scope: str = "t") -> Event:
    event = {"ph": "i", "pid": process, "tid": track, "name": clean(row.text), "ts": _ns(row.at) / 1000, "s": scope}
    return event if colour is None else event | {"cname": colour}
