"""What a flow leaves out, and the scenarios that need it.

Decides what is refused before anything runs: a sentence for each thing, with the cure, all at once. Rule: what has no
model here is never judged, so an expectation on it is refused too; limits of the node that the load would reach are
left out like all else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from chatsim.errors import UsageError
from chatsim.flow.load import Load
from chatsim.flow.measures import COUNTED, MEASURED
from chatsim.scenario.distributions import Constant
from chatsim.scenario.events import Arrive
from chatsim.scenario.model import Closed, Group, Scenario

CURE: Final = "play it without --fidelity flow, or leave it out"

JITTER_S: Final = 5.0
"""Messages may reach the node so much closer together than they were sent."""

FRAME_BYTES_MAX: Final = 512
"""A message's frame without its body has no more."""

ACKS_PER_S: Final = 5.0
"""More acks nobody sends: one in an ack delay."""


def check(scenario: Scenario) -> None:
    """Raise UsageError with all that the scenario needs and a flow leaves out."""
    _refuse(scenario, _unmodelled(scenario))


def check_load(scenario: Scenario, load: Load) -> None:
    """Raise UsageError with all limits of the node that the load would reach."""
    _refuse(scenario, _limits(scenario, load))


def _refuse(scenario: Scenario, found: Iterator[str]) -> None:
    sentences = list(dict.fromkeys(found))
    if sentences:
        raise UsageError("\n".join(f"{scenario.name}: {sentence}" for sentence in sentences))


def _unmodelled(scenario: Scenario) -> Iterator[str]:
    for event in scenario.events:
        if not isinstance(event, Arrive):
            yield f"a flow leaves out the event {event.do}: {CURE}"
    if scenario.log.store == "sqlite":
        yield f"a flow leaves out the commits of log.store sqlite: {CURE}"
    if scenario.log.latency != Constant(value=0.0):
        yield f"a flow leaves out log.latency: {CURE}"
    if scenario.ties is not None:
        yield f"a flow leaves out ties, since it has no order within an instant: {CURE}"
    for group in scenario.groups:
        yield from _of_group(group)
        quiet_s = group.token_ttl_s - scenario.handler.token_warning_s
        if quiet_s <= scenario.duration_s + JITTER_S:
            yield (
                f"groups.{group.name}: a flow leaves out the renewal of tokens: give token_ttl more than the duration "
                "and the token_warning together"
            )
    unknown = [each.text for each in scenario.expect if each.metric not in (*MEASURED, *COUNTED)]
    if unknown:
        yield (
            f"a flow cannot judge {'; '.join(unknown)}: it has {', '.join((*MEASURED, *COUNTED))} alone, so expect "
            "something of those, or play it without --fidelity flow"
        )


def _of_group(group: Group) -> Iterator[str]:
    named = f"groups.{group.name}: a flow leaves out"
    if isinstance(group.messages, Closed):
        yield f"{named} closed arrivals, whose moments depend on the answers: use poisson, periodic, profile or trace"
    if group.connections_per_user > 1:
        yield f"{named} second devices: write connections_per_user: 1"
    for word, there in (
        ("typing", group.typing),
        ("presence that people change", group.presence),
        ("heartbeats", group.heartbeat_s is not None),
        ("credentials that are refused", group.credentials != "good"),
        ("people who do not ack", not group.acks),
        ("acks of single messages", group.ack_each),
        ("loss", group.network.loss > 0.0),
        ("bandwidth", group.network.bandwidth_bits_per_s is not None),
    ):
        if there:
            yield f"{named} {word}: {CURE}"


def _limits(scenario: Scenario, load: Load) -> Iterator[str]:
    handler = scenario.handler
    users = load.connect_at.size
    for word, limit, reached, what in (
        ("connections_max", handler.connections_max, users, "connections"),
        ("sessions_max", handler.sessions_max, load.size.size, "sessions"),
        ("participants_max", handler.participants_max, int(load.size.max()), "people in one session"),
    ):
        if reached > limit:
            yield f"a flow leaves out what {word} does, and there would be {reached} {what}: raise handler.{word}"
    if _crowded(np.sort(load.connect_at), max(1, int(handler.accept_rate_per_s)), 1.0):
        yield (
            "a flow leaves out what accept_rate does, and more users than that come within a second: raise "
            "handler.accept_rate, or let them arrive over a longer time"
        )
    if load.body_bytes_max > handler.message_bytes_max - FRAME_BYTES_MAX:
        yield (
            f"a flow leaves out what message_bytes_max does, and there is a body of {load.body_bytes_max} bytes: raise "
            "handler.message_bytes_max"
        )
    # Of one user after the other, the limit's own window and the network's jitter more.
    order = np.lexsort((load.at_s, load.user))
    apart = load.user[order] * (scenario.duration_s + 2.0 * (handler.rate_window_s + JITTER_S))
    if _crowded(apart + load.at_s[order], handler.rate_limit, handler.rate_window_s + JITTER_S):
        yield (
            "a flow leaves out what rate_limit does, and somebody would reach it: raise handler.rate_limit, or lower "
            "the rate of messages"
        )
    if handler.rate_limit + (ACKS_PER_S + 1.0) * handler.frame_window_s > handler.frame_limit:
        yield "a flow leaves out what frame_limit does, and acks might reach it: raise handler.frame_limit"


def _crowded(at_s: np.ndarray[tuple[int], np.dtype[np.float64]], most: int, window_s: float) -> bool:
    """Whether more than `most` of these ascending moments lie within some window."""
    return bool(at_s.size > most and (at_s[most:] - at_s[:-most] < window_s).any())
