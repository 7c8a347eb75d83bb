"""What may happen to the people and the node of a scenario: one class per word of `do:`.

Decides which arguments each event takes. Rule: an event that has victims may choose them by group, share or count; an
event that has none (the node, the log, the clock) may not. What an event does to a wire is decided there.
"""

from collections.abc import Iterable
from math import inf
from typing import Annotated, Final, Literal, TypeAlias, get_args

from pydantic import BeforeValidator, Field, WithJsonSchema

from chatsim.scenario import units
from chatsim.scenario.words import (
    SIGNED_DURATION_SCHEMA,
    Bandwidth,
    Count,
    Duration,
    PositiveDuration,
    PositiveShare,
    Rate,
    Text,
    Words,
)


def _jump(value: object) -> float:
    found = units.duration(value, signed=True)
    if found == 0:
        raise ValueError(f"{value!s} moves nothing: write 1h, or -10s to go back")
    return found


def _factor(value: object) -> float:
    found = units.number(value)
    if found <= 0:
        raise ValueError(f"{value!s} must be more than 0: 2 doubles the latency")
    return found


class EventBase(Words):
    """Moment of an event, in seconds since the start of the run."""

    at_s: Duration

    @property
    def lasts_s(self) -> float:
        """How long it goes on (s): 0 for what is done in a moment, inf for what nobody takes back."""
        lasts_s: float | None = getattr(self, "for_s", getattr(self, "down_s", 0.0))
        return inf if lasts_s is None else lasts_s


class VictimEvent(EventBase):
    """Whom it strikes: a share or a count of a group, or of everyone; without both, all of them."""

    group: Text | None = None
    share: PositiveShare | None = None
    count: Count | None = None


class Drop(VictimEvent):
    """The connection is closed, and both sides know."""

    do: Literal["drop"]


class Vanish(VictimEvent):
    """The peer is gone without a word; after `for_s` the person comes back on a new connection, without it never."""

    do: Literal["vanish"]
    for_s: PositiveDuration | None = None


class Freeze(VictimEvent):
    """The client stops reading and answering, then goes on."""

    do: Literal["freeze"]
    for_s: PositiveDuration


class SlowReader(VictimEvent):
    """The client reads no faster than this."""

    do: Literal["slow_reader"]
    bandwidth_bits_per_s: Bandwidth
    for_s: PositiveDuration


class Latency(VictimEvent):
    """Network latency is multiplied by `factor`."""

    do: Literal["latency"]
    factor: Annotated[float, BeforeValidator(_factor), WithJsonSchema({"type": "number", "exclusiveMinimum": 0})]
    for_s: PositiveDuration


class Loss(VictimEvent):
    """This share of segments is lost and sent again."""

    do: Literal["loss"]
    rate: PositiveShare
    for_s: PositiveDuration


class Partition(VictimEvent):
    """Nothing passes between the victims and the node; connections stay."""

    do: Literal["partition"]
    for_s: PositiveDuration


class Flood(VictimEvent):
    """Each victim sends messages at this rate on top of its own."""

    do: Literal["flood"]
    rate_per_s: Rate
    for_s: PositiveDuration


class WithholdAcks(VictimEvent):
    """The client reads and answers pings, and does not ack."""

    do: Literal["withhold_acks"]
    for_s: PositiveDuration


class ExpireTokens(VictimEvent):
    """The victims' tokens expire at this moment."""

    do: Literal["expire_tokens"]


HandedIn: TypeAlias = Literal["good", "expired", "forged", "foreign", "revoked"]
"""Tokens that somebody hands in: one more of hers, one that has ended, one that nobody signed who may, another user's,
or one that was revoked."""


class RefreshToken(VictimEvent):
    """Each victim hands in such a token on her open connections."""

    do: Literal["refresh_token"]
    token: HandedIn


class Revoke(VictimEvent):
    """The tokens that the victims hold are revoked, or all that each has had so far as a user, who is then no receiver
    until she comes with a newer one."""

    do: Literal["revoke"]
    of: Literal["tokens", "user"] = "tokens"


Broken: TypeAlias = Literal["bad_json", "bad_frame", "unknown_type", "binary", "bad_utf8"]
"""What is wrong with bytes that are no frame: the first three a server answers, and the others end the connection."""


class BadFrames(VictimEvent):
    """Each victim sends malformed frames at this rate, all of one kind."""

    do: Literal["bad_frames"]
    rate_per_s: Rate
    for_s: PositiveDuration
    kind: Broken = "bad_json"


class Leave(VictimEvent):
    """The person leaves her session on all her devices; after `for_s` she joins it again, without it never."""

    do: Literal["leave"]
    for_s: PositiveDuration | None = None


class RemoveParticipant(VictimEvent):
    """The person takes part in her session no more, by order; after `for_s` she does again, without it never."""

    do: Literal["remove_participant"]
    for_s: PositiveDuration | None = None


class EndSession(VictimEvent):
    """The victims' sessions are ended by order; after `for_s` all whose session it is join again, without it never.

    With `ttl_s` it is opened for them by order then, and ends by itself after so long; `for_s` after that they are
    back once more.
    """

    do: Literal["end_session"]
    for_s: PositiveDuration | None = None
    ttl_s: PositiveDuration | None = None

    @property
    def lasts_s(self) -> float:
        """Until they are back for good (s)."""
        if self.for_s is None:
            return inf
        return self.for_s if self.ttl_s is None else 2 * self.for_s + self.ttl_s


class Post(VictimEvent):
    """The server writes to each victim, in her own session."""

    do: Literal["post"]


class Trespass(VictimEvent):
    """Each victim asks to join sessions that are not hers, and writes to them."""

    do: Literal["trespass"]


class RestartNode(EventBase):
    """The node is stopped in order and started again after `down_s`."""

    do: Literal["restart_node"]
    down_s: PositiveDuration


class DrainNode(EventBase):
    """The node is told to drain."""

    do: Literal["drain_node"]


class CrashNode(EventBase):
    """The node is killed and started again after `down_s`."""

    do: Literal["crash_node"]
    down_s: PositiveDuration


class LogOutage(EventBase):
    """The log takes no appends."""

    do: Literal["log_outage"]
    for_s: PositiveDuration


class ClockJump(EventBase):
    """The node's wall clock moves by `by_s`, which may be negative."""

    do: Literal["clock_jump"]
    by_s: Annotated[float, BeforeValidator(_jump), WithJsonSchema(SIGNED_DURATION_SCHEMA["anyOf"][0])]


class Arrive(EventBase):
    """More users of a group arrive at once."""

    do: Literal["arrive"]
    users: Count
    group: Text | None = None


Event: TypeAlias = (
    Drop
    | Vanish
    | Freeze
    | SlowReader
    | Latency
    | Loss
    | Partition
    | Flood
    | WithholdAcks
    | ExpireTokens
    | RefreshToken
    | Revoke
    | BadFrames
    | Leave
    | RemoveParticipant
    | EndSession
    | Post
    | Trespass
    | RestartNode
    | DrainNode
    | CrashNode
    | LogOutage
    | ClockJump
    | Arrive
)
NodeEvent: TypeAlias = RestartNode | DrainNode | CrashNode
"""What ends a node, which begins again: its log has to last."""


def hands_in_revoked(events: Iterable[EventBase]) -> bool:
    """Whether somebody is to hand in a token that was revoked: that has to be done before."""
    return any(isinstance(event, RefreshToken) and event.token == "revoked" for event in events)


AnyEvent: TypeAlias = Annotated[Event, Field(discriminator="do")]

EVENTS: Final[dict[str, type[EventBase]]] = {
    get_args(kind.model_fields["do"].annotation)[0]: kind for kind in get_args(Event)
}
"""Each event by its word."""
