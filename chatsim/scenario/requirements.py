"""What was required of the chat handler, and by which words the shipped scenarios say that they carry it.

Decides the one vocabulary of `requirements:` in the shipped scenarios, which metrics and counters speak of each
requirement, and where it can be shown at all. Rule: a scenario carries a requirement by what it expects: one that
promises nothing about it shows nothing of it, and neither does one whose promises would hold if nobody had come. In
scenarios of their own people write what they like; what came of it all is `chatsim.findings.matrix`'.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from chatsim.scenario.faults import did_you_mean

if TYPE_CHECKING:
    from chatsim.scenario.expectations import Expectation
    from chatsim.scenario.model import Scenario

TLS_WIRE: Final = "live"
"""Where TLS is spoken: elsewhere it is only the time that it takes."""


class Requirement(msgspec.Struct, frozen=True):
    """One requirement: what it is in a few words, the metrics and counters by which a scenario shows it, and whether
    the scenario has to be played over TLS for that."""

    title: str
    shown_by: tuple[str, ...]
    over_tls: bool = False

    def shown_on(self, wire: str) -> bool:
        """Whether what is played on this wire says anything about it."""
        return wire == TLS_WIRE or not self.over_tls


REQUIREMENTS: Final[Mapping[str, Requirement]] = {
    "3.1": Requirement("secure authentication", ("auth_refused", "accepted", "reconnect_time")),
    "3.2": Requirement(
        "session tokens with expiration", ("token_expired", "auth_refused", "accepted", "reconnect_time")
    ),
    "5.1": Requirement("real time, within 100 ms", ("delivery_latency", "ack_latency", "stable_latency")),
    "5.2": Requirement("persistent connections", ("connections_peak", "pings", "no_pong_closed", "stale_closed")),
    "5.3": Requirement(
        "automatic reconnection, with nothing lost",
        ("reconnect_time", "resumes", "recovered", "unrecovered", "lost", "duplicates", "out_of_order"),
    ),
    "8.1": Requirement("TLS", ("connections_peak", "delivery_latency", "reconnect_time"), over_tls=True),
    "pool": Requirement("a pool of connections with its limits", ("connections_peak", "turned_away")),
    "user mapping": Requirement(
        "which connections are whose", ("connections_peak", "delivered", "copies", "delivery_latency")
    ),
    "session mapping": Requirement("who is in which session", ("delivered", "copies", "delivery_latency")),
    "limiter": Requirement("60 messages in any 60 s", ("rate_limited", "accepted")),
    "ping/pong": Requirement("dead peers are found by pings", ("pings", "no_pong_closed", "detection_time")),
    "stale sweep": Requirement("silent connections are swept", ("stale_closed", "detection_time")),
    "routing": Requirement(
        "the seven types of frames, each where it belongs",
        ("delivered", "ack_latency", "typing_events", "presence_events", "stale_closed", "resumes", "errors"),
    ),
    "session broadcasting": Requirement("to everybody in a session", ("delivered", "copies", "delivery_latency")),
    "user broadcasting": Requirement("to every connection of a user", ("delivered", "copies", "accepted")),
    "typing": Requirement("who is typing", ("typing_events",)),
    "presence": Requirement("who is there", ("presence_events",)),
    "acks": Requirement(
        "acked when stored, delivered when acked",
        ("ack_latency", "accepted", "delivered", "undelivered", "duplicates_suppressed"),
    ),
    "retry": Requirement("three retries, 30 s apart", ("retries", "gave_up")),
    "failure handling": Requirement(
        "whatever breaks, nothing acked is lost",
        ("lost", "undelivered", "recovered", "errors", "turned_away", "slow_closed", "no_pong_closed"),
    ),
    "graceful shutdown": Requirement("a node drains before it ends", ("drain_time",)),
    "reconnection": Requirement("who lost a connection is back, and resumes", ("reconnect_time", "recovered")),
    "token expiry": Requirement("tokens end, and are renewed before", ("token_expired",)),
}
"""Each requirement by its tag: the numbered ones, then each feature that was promised."""


def strangers(tags: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """The tags that are no requirement, each with its place and a sentence."""
    for place, tag in enumerate(tags):
        if tag not in REQUIREMENTS:
            yield place, f"unknown requirement {tag!r}{did_you_mean(tag, REQUIREMENTS)}"


def telling(tag: str, expect: tuple[Expectation, ...]) -> list[Expectation]:
    """Those expectations that speak of a requirement; all of them where the tag is somebody's own."""
    known = REQUIREMENTS.get(tag)
    return [each for each in expect if known is None or each.metric in known.shown_by]


def unfit(tag: str, scenario: Scenario, expect: tuple[Expectation, ...]) -> str:
    """Why a scenario with these expectations cannot show a requirement, in one sentence; nothing where it can.

    What would hold though nothing had happened (`lost == 0`, `pings >= 0`) shows something beside a promise that
    something did happen, and nothing alone.
    """
    known = REQUIREMENTS.get(tag)
    if known is None:
        return ""
    if known.over_tls and not scenario.tls:
        return f"{scenario.name} is not played over TLS: write `tls: true`"
    spoken = telling(tag, expect)
    shown_by = ", ".join(known.shown_by)
    if not spoken:
        return f"{scenario.name} promises nothing about {tag}: expect something of {shown_by}"
    if all(each.holds_of_nothing for each in spoken):
        return (
            f"{scenario.name} promises nothing about {tag} that would not hold if nobody had come: "
            f"expect that something happens, by one of {shown_by}"
        )
    return ""
