"""How far each receiver has come, told to the log now and then.

Decides when a position is worth a note. Rule: an ack costs one store; what has moved is noted together, `EVERY_S` after
the first that moved, so that a log that lasts is not written to for every ack. What a crash forgets is asked again by
the client itself, which says how far it is when it comes back.
"""

from __future__ import annotations

from math import inf

from chatsim.core.delivery import GivenUp, Ledger
from chatsim.core.effects import Note
from chatsim.core.facts import Parted, Position
from chatsim.core.pool import Member, Session

EVERY_S = 1.0


class Positions:
    """The receivers whose position the log does not know yet; `kept` False for a log that forgets all anyway."""

    def __init__(self, *, kept: bool) -> None:
        self._kept = kept
        self._moved: dict[Member, None] = {}
        self._every_s = EVERY_S
        self.next_at = inf

    def moved(self, now: float, member: Member) -> None:
        """The member has more than before."""
        if self._kept:
            self._moved[member] = None
            if self.next_at == inf:
                self.next_at = now + self._every_s

    def lost(self, now: float, given_up: list[GivenUp]) -> None:
        """What was given up is owed no more: a later life must not owe it anew."""
        for outgoing, user, _ in given_up:
            member = outgoing.session.members.get(user)
            if member is not None:
                self.moved(now, member)

    def hurry(self, now: float) -> None:
        """The end is near: what has moved, and what moves from now on, is noted at once."""
        self._every_s = 0.0
        if self._moved:
            self.next_at = now

    def began(self, member: Member, ledger: Ledger) -> list[Note]:
        """A connection of hers began behind what waits, or goes on where such a one was: the log hears so at once, or
        what a client says it has after a restart would be taken for what it never saw."""
        return [Note(_position(member, ledger))] if self._kept else []

    def came(self, member: Member) -> list[Note]:
        """The member is a receiver from now on: the log hears so at once, since what follows may be owed to her."""
        return [Note(Position(member.session.name, member.user.name, member.session.seq))] if self._kept else []

    def parted(self, member: Member) -> list[Note]:
        """The member is a receiver no more: the log hears so at once."""
        self._moved.pop(member, None)
        return [Note(Parted(member.session.name, member.user.name))] if self._kept else []

    def put_out(self, session: Session, user: str) -> list[Note]:
        """The user, who may have been a receiver, is none any more: the log hears so at once."""
        return [Note(Parted(session.name, user))] if self._kept else []

    def wake(self, now: float, ledger: Ledger) -> list[Note]:
        """What the log is told, if it is time."""
        if now < self.next_at:
            return []
        self.next_at = inf
        moved, self._moved = self._moved, {}
        # Who was taken out meanwhile, or whose session ended, is no receiver: a note of her would make her one again.
        there = [member for member in moved if member.session.members.get(member.user.name) is member]
        return [Note(_position(member, ledger)) for member in there]


def _position(member: Member, ledger: Ledger) -> Position:
    return Position(
        member.session.name, member.user.name, ledger.position(member), tuple((member.starts or {}).items())
    )
