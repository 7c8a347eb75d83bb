"""What is measured of one node, by the names that an operator knows, whichever wire it is on.

Decides names, types, help and labels: one table. Rule: everything is read when it is asked for, from what the handler
and its shell have counted anyway, so that a figure costs nothing between two readings; no label holds an id, and each
has a bounded set of values. A figure that this wire does not know has no sample, and its name is there all the same.
How figures are written down is left to `prometheus`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

from chatsim.core.handler import ChatHandler
from chatsim.core.histogram import Histogram

LAG_EDGES_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Edges of the histogram of loop lag."""

_STANDARD = (1000, 1001, 1002, 1003, 1005, 1006, 1007, 1009, 1011, 1012, 1013)
CLOSE_CODES = (*_STANDARD, 4000, 4001, 4002, 4003, 4005, 4500, 4501, 4502, 4503)
"""Close codes that are told apart (protocol.md, section 3, and RFC 6455, 7.4.1); a client may make up thousands, which
are `other`. 1005 is a close without a code, 1006 the end of a connection without a close."""

TOKEN_REFUSALS = ("token_missing", "token_invalid", "token_expired", "token_revoked")
HANDSHAKE_REFUSALS = (*TOKEN_REFUSALS, "origin_forbidden", "overloaded", "draining", "other")
UNDELIVERED_REASONS = ("no_ack", "expired", "left", "revoked", "ended")
SHED_TYPES = ("typing", "presence")

Samples: TypeAlias = Mapping[str, float] | Histogram | float | None
"""The samples of one family: by label value, a histogram, one number, or None where this wire does not know."""


class Shell(msgspec.Struct, kw_only=True):
    """What only the handler's shell knows; None where it does not.

    `open` is how many connections it has open, by its own count and not the handler's; `departed` are those that ended
    without the handler's asking, by close code, `refused` the handshakes by error code, and `refused_requests` the
    other requests whose token or key was no good; `loop_lag` is in seconds, and what is queued waits to be written.
    """

    open: int | None = None
    departed: Mapping[int, int] = {}
    refused: Mapping[str, int] = {}
    refused_requests: Mapping[str, int] = {}
    loop_lag: Histogram
    queued_frames: int | None = None
    queued_bytes: int | None = None
    frames_in: int | None = None
    frames_out: int | None = None
    bytes_in: int | None = None
    bytes_out: int | None = None
    flushes: int | None = None
    draining: bool = False


class Family(msgspec.Struct):
    """One metric: its whole name, and its samples; `label` is empty where there is one sample."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    about: str
    samples: Samples
    label: str = ""


def families(handler: ChatHandler, shell: Shell) -> list[Family]:
    """All there is to tell of a node now, in the order in which it is shown."""
    return [*_people(handler, shell), *_messages(handler), *_wire(handler, shell)]


def _people(handler: ChatHandler, shell: Shell) -> list[Family]:
    counters = handler.counters
    connections, users = handler.present()
    closed = _by_code(shell.departed, counters.closed)
    refused = _known(HANDSHAKE_REFUSALS, shell.refused)
    at_the_door = _only(TOKEN_REFUSALS, shell.refused)
    tokens = _known(TOKEN_REFUSALS, at_the_door, counters.refused_refreshes, shell.refused_requests)
    resumes = {"recovered": counters.recovered, "unrecovered": counters.unrecovered}
    return [
        Family("chatsim_connections", "gauge", "Open connections.", connections),
        Family("chatsim_sockets", "gauge", "WebSockets that are open: as many as connections.", shell.open),
        Family("chatsim_connections_peak", "gauge", "Most open connections at once.", counters.connections_peak),
        Family("chatsim_connections_total", "counter", "Connections opened.", handler.connected),
        Family("chatsim_users", "gauge", "Users with a connection.", users),
        Family("chatsim_disconnects_total", "counter", "Connections ended, by close code.", closed, "code"),
        Family("chatsim_handshakes_refused_total", "counter", "Handshakes refused, by error code.", refused, "reason"),
        Family(
            "chatsim_auth_failures_total",
            "counter",
            "Tokens and admin keys refused, at the door, at a refresh or over HTTP.",
            tokens,
            "reason",
        ),
        Family("chatsim_resumes_total", "counter", "Joins that asked for what was missed.", resumes, "result"),
        Family("chatsim_draining", "gauge", "1 while the server is going away.", float(shell.draining)),
    ]


def _messages(handler: ChatHandler) -> list[Family]:
    counters, ledger, times = handler.counters, handler.ledger, handler.times
    undelivered = _known(UNDELIVERED_REASONS, ledger.undelivered_by)
    return [
        Family("chatsim_messages_accepted_total", "counter", "Messages that the log has.", counters.accepted),
        Family("chatsim_messages_delivered_total", "counter", "Messages acked, once a receiver.", ledger.delivered),
        Family(
            "chatsim_messages_undelivered_total",
            "counter",
            "Messages given up, once a receiver.",
            undelivered,
            "reason",
        ),
        Family("chatsim_messages_waiting", "gauge", "Messages not yet acked, once a receiver.", ledger.waiting),
        Family("chatsim_messages_replayed_total", "counter", "Messages sent again at a resume.", counters.replayed),
        Family("chatsim_retries_total", "counter", "Messages sent again for want of an ack.", ledger.retries),
        Family("chatsim_rate_limited_total", "counter", "Messages over the user's limit.", counters.rate_limited),
        Family(
            "chatsim_duplicates_suppressed_total",
            "counter",
            "Messages whose id had been taken before.",
            counters.duplicates_suppressed,
        ),
        Family("chatsim_ack_seconds", "histogram", "From taking a message to its ack.", times.ack),
        Family(
            "chatsim_delivery_seconds",
            "histogram",
            "From taking a message to a receiver's ack, which her client may hold back for 0.2 s.",
            times.delivery,
        ),
    ]


def _wire(handler: ChatHandler, shell: Shell) -> list[Family]:
    counters = handler.counters
    dropped = _known(SHED_TYPES, counters.dropped)
    return [
        Family("chatsim_pings_total", "counter", "WebSocket pings sent.", counters.pings),
        Family("chatsim_ping_round_trip_seconds", "histogram", "From a ping to its pong.", handler.times.pong),
        Family("chatsim_errors_total", "counter", "Error frames sent.", counters.errors),
        Family(
            "chatsim_frames_dropped_total", "counter", "Frames that slow readers were spared, by type.", dropped, "type"
        ),
        Family("chatsim_outbound_queue_frames", "gauge", "Frames that wait to be written.", shell.queued_frames),
        Family("chatsim_outbound_queue_bytes", "gauge", "Bytes that wait to be written.", shell.queued_bytes),
        Family("chatsim_frames_in_total", "counter", "WebSocket frames read.", shell.frames_in),
        Family("chatsim_frames_out_total", "counter", "Frames written, once a receiver.", shell.frames_out),
        Family("chatsim_in_bytes_total", "counter", "Bytes read from WebSockets.", shell.bytes_in),
        Family("chatsim_out_bytes_total", "counter", "Bytes written to WebSockets.", shell.bytes_out),
        Family("chatsim_flushes_total", "counter", "Collected writes.", shell.flushes),
        Family("chatsim_loop_lag_seconds", "histogram", "How late the event loop was.", shell.loop_lag),
    ]


def _by_code(*counts: Mapping[int, int]) -> dict[str, float]:
    """Sums by close code, the known ones always there, so that a rate begins at nothing."""
    found: dict[str, float] = dict.fromkeys((*map(str, CLOSE_CODES), "other"), 0)
    for some in counts:
        for code, count in some.items():
            found[str(code) if code in CLOSE_CODES else "other"] += count
    return found


def _known(names: tuple[str, ...], *counts: Mapping[str, int]) -> dict[str, float]:
    """Sums by name, all of them there; a name that is none of these comes last."""
    found: dict[str, float] = dict.fromkeys(names, 0)
    for some in counts:
        for name, count in some.items():
            found[name] = found.get(name, 0) + count
    return found


def _only(names: tuple[str, ...], counts: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if name in names}
