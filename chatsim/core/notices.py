"""What senders hear of their messages: that somebody has them, or never will.

Decides whom a notice goes to: the sender's connections of the moment. Rule: one that nobody is there to hear counts
as issued all the same, and is not kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from chatsim.core.delivery import GivenUp, Outgoing
from chatsim.core.effects import Conn, Effects, Send
from chatsim.core.frames import Delivered, Undelivered
from chatsim.core.pool import Member, User

LINGER_S: Final = 0.05
"""How long a notice of delivery stays for company at the server, at most (s): the ack that caused it was free to take
0.2 s."""

EAGER_MAX: Final = 32
"""So many of them in each `LINGER_S` are sent at once: as few as that cost less than a hundredth of a core."""


class Notices:
    """Makes notices; `users` are those whom the handler knows, by name."""

    def __init__(self, users: Mapping[str, User]) -> None:
        self._users = users

    def delivered(self, member: Member, settled: list[Outgoing]) -> Effects:
        """Tell each sender, in one frame, which of her messages the member has."""
        session, user = member.session.name, member.user.name
        if len(settled) == 1:
            message = settled[0].message
            notice = Delivered(session=session, user=user, message_ids=(message.message_id,))
            return (Send(self._names_of(message.sender), notice),)
        by_sender: dict[str, list[str]] = {}
        for outgoing in settled:
            by_sender.setdefault(outgoing.message.sender, []).append(outgoing.message.message_id)
        return tuple(
            Send(self._names_of(sender), Delivered(session=session, user=user, message_ids=tuple(said)))
            for sender, said in by_sender.items()
        )

    def undelivered(self, lost: list[GivenUp]) -> list[Send]:
        """Tell each sender what was given up, a frame a message and user."""
        return [
            Send(
                self._names_of(outgoing.message.sender),
                Undelivered(
                    message_id=outgoing.message.message_id, session=outgoing.session.name, user=user, reason=reason
                ),
            )
            for outgoing, user, reason in lost
        ]

    def _names_of(self, user: str) -> tuple[Conn, ...]:
        found = self._users.get(user)
        return () if found is None else found.names
