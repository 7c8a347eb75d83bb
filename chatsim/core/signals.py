"""Typing and presence: what people in a session hear of each other beside messages.

Decides when a signal is worth telling: typing at most once an interval and never for longer than its lapse, presence
when it changes, `offline` only after a grace in which a reconnection makes no event.
Rule: a signal is told (`Tell`), never stored, acked or sent again. Who hears it is left to the handler.
"""

from __future__ import annotations

from math import inf
from typing import Literal

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import NOTHING, Effects, Tell
from chatsim.core.frames import Presence, Typing
from chatsim.core.pool import Member, Session, User
from chatsim.core.sessions import is_own
from chatsim.core.timers import Heap, Line


class Signals:
    """The timers of typing and presence. Moments are seconds since the start, `wall` seconds since the Unix epoch."""

    def __init__(self, config: HandlerConfig) -> None:
        self._config = config
        self._graces: Line[tuple[Member, float]] = Line(config.presence_grace_s, _is_away)
        self._lapses: Heap[Member] = Heap()
        # Who left while what she typed still mattered: if she is back before it does not, she goes on from there.
        self._parted: dict[tuple[Session, str], Member] = {}
        self._partings: Line[Member] = Line(max(config.typing_interval_s, config.typing_lapse_s))

    @property
    def next_at(self) -> float:
        """When the next signal may be due (s, inf if none)."""
        return min(self._graces.next_at, self._lapses.next_at)

    def typing(self, now: float, member: Member, active: bool) -> Effects:
        """The user says that she is typing, or has stopped."""
        config = self._config
        free_at = member.typing_relayed_at + config.typing_interval_s
        if not active:
            if not member.typing:
                return NOTHING
            if now < free_at:
                # Too soon after the last: the end is told as soon as the interval allows.
                member.typing_until = free_at
                self._lapse_at(member, free_at)
                return NOTHING
            return self._tell_typing(now, member, False)
        member.typing_until = now + config.typing_lapse_s
        if now < free_at:
            if member.typing:
                self._lapse_at(member, member.typing_until)
            return NOTHING
        self._lapse_at(member, member.typing_until)
        return self._tell_typing(now, member, True)

    def _tell_typing(self, now: float, member: Member, active: bool) -> Effects:
        member.typing = active
        member.typing_relayed_at = now
        name = member.session.name
        return (Tell(name, Typing(name, member.user.name, active)),)

    def _lapse_at(self, member: Member, due_at: float) -> None:
        if due_at < member.typing_due_at:
            member.typing_due_at = due_at
            self._lapses.add(due_at, member)

    def presence(self, wall: float, user: User, state: Literal["online", "away"]) -> Effects:
        """The user says what she is."""
        if user.state == state:
            return NOTHING
        user.state = state
        there = dict.fromkeys(member for conn in user.connections.values() for member in conn.member_of.values())
        return tuple(tell for member in there for tell in self._tell_presence(wall, member))

    @staticmethod
    def _tell_presence(wall: float, member: Member) -> Effects:
        member.told = member.user.state
        member.session.told = None
        if is_own(member.session.name):
            return NOTHING
        return (Tell(member.session.name, Presence(member.user.name, member.told, wall)),)

    def came(self, wall: float, member: Member) -> Effects:
        """The user joined: news, unless the others still believe her to be what she is."""
        if self._parted:
            self._go_on(member)
        return NOTHING if member.told == member.user.state else self._tell_presence(wall, member)

    def _go_on(self, member: Member) -> None:
        former = self._parted.pop((member.session, member.user.name), None)
        if former is not None and former is not member:
            member.typing, member.typing_until = former.typing, former.typing_until
            member.typing_relayed_at = former.typing_relayed_at
            former.typing = False
            if member.typing:
                self._lapse_at(member, member.typing_until)

    def part(self, now: float, member: Member) -> None:
        """The user left the session: the limit on her typing does not begin anew if she comes back."""
        while (gone := self._partings.pop(now)) is not None:
            if self._parted.get((gone.session, gone.user.name)) is gone:
                del self._parted[gone.session, gone.user.name]
        if member.typing or now < member.typing_relayed_at + self._config.typing_interval_s:
            self._parted[member.session, member.user.name] = member
            self._partings.add(now, member)

    def absent(self, now: float, member: Member) -> None:
        """The user's last connection in the session has gone: the others hear so after the grace."""
        self._graces.add(now, (member, now))

    def left(self, wall: float, member: Member) -> Effects:
        """The user is there no more, and the others hear so at once if they have not heard it yet."""
        if member.told == "offline":
            return NOTHING
        member.told = "offline"
        member.session.told = None
        return (Tell(member.session.name, Presence(member.user.name, "offline", wall)),)

    def wake(self, now: float, wall: float) -> list[Tell]:
        """Everything that is due: those who did not come back within the grace, and typing that was not renewed."""
        told: list[Tell] = []
        while (grace := self._graces.pop(now)) is not None:
            member, gone_at = grace
            if member.gone_at == gone_at:
                told += self.left(wall, member)  # type: ignore[arg-type]
        while (typist := self._lapses.pop(now)) is not None:
            # One that was set later and comes earlier has taken its place.
            if now < typist.typing_due_at:
                continue
            typist.typing_due_at = inf
            # Who had left before her session ended must not speak into the next one of that name.
            typist.typing = typist.typing and not typist.session.over
            if typist.typing and now >= typist.typing_until:
                told += self._tell_typing(now, typist, False)  # type: ignore[arg-type]
            elif typist.typing:
                self._lapse_at(typist, typist.typing_until)
        return told


def _is_away(grace: tuple[Member, float]) -> bool:
    """Whether the grace is that of her last going, and the others are still to hear of it."""
    member, gone_at = grace
    return member.gone_at == gone_at and member.told != "offline"
