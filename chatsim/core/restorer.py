"""Beginning where the log says that an earlier life ended: nobody is there, and everybody may come back.

Decides what of a snapshot still matters: what is kept for replay, what is owed to whom, which client ids are taken,
what has been said of a minute's budget.
Rule: what was too old before the end is too old after it, however long the node was away.
"""

from __future__ import annotations

from math import inf

from chatsim.core.config import HandlerConfig
from chatsim.core.dedupe import Dedupe
from chatsim.core.delivery import Ledger, message_of
from chatsim.core.effects import Record
from chatsim.core.limiter import make_limiter
from chatsim.core.pool import User
from chatsim.core.sessions import Sessions
from chatsim.core.signals import Signals
from chatsim.core.snapshot import Snapshot


class Restorer:
    """Fills the parts of a new handler. `epoch` is the wall time of `now` = 0, `start` the `now` of the beginning."""

    def __init__(
        self,
        config: HandlerConfig,
        epoch: float,
        start: float,
        sessions: Sessions,
        users: dict[str, User],
        ids: Dedupe,
        ledger: Ledger,
        signals: Signals,
    ) -> None:
        self._config = config
        self._epoch = epoch
        self._start = start
        self._sessions = sessions
        self._users = users
        self._ids = ids
        self._ledger = ledger
        self._signals = signals

    def restore(self, snapshot: Snapshot) -> None:
        """Sessions, their receivers, and their messages in the order in which they were stored."""
        stored: list[tuple[float, Record]] = []
        for state in snapshot.sessions:
            session = self._sessions.restore(state)
            for name, _ in state.positions:
                user = self._user(name)
                user.gone_at = self._start
                user.receives_until = self._start + self._config.retention_s
                # The others have heard nothing of her going: they do if she is not back within the grace.
                self._signals.absent(self._start, self._sessions.await_return(self._start, session, user))
            # The wall clock may have been set back meanwhile; a session's messages keep the order of their seqs.
            since = -inf
            for record in state.records:
                since = max(since, min(record.sent_at - self._epoch, self._start))
                stored.append((since, record))
        has = {(state.name, user): seq for state in snapshot.sessions for user, seq in state.positions}
        for since, record in sorted(stored, key=lambda entry: entry[0]):
            self._message(since, record, has)
        for state in snapshot.sessions:
            members = self._sessions.by_name[state.name].members
            for name, starts in state.starts:
                self._ledger.remember(members[name], starts)
        self._count_lately(snapshot)
        self._sessions.jump(self._epoch)

    def _count_lately(self, snapshot: Snapshot) -> None:
        """What everybody has said within the last window counts in it."""
        start = self._start
        for user, sent_at in snapshot.said:
            at = min(sent_at - self._epoch, start)
            if at + self._config.rate_window_s > start:
                self._user(user).limiter.refusal(at)

    def _user(self, name: str) -> User:
        user = self._users.get(name)
        if user is None:
            user = self._users[name] = User(name, make_limiter(self._config))
        return user

    def _message(self, since: float, record: Record, has: dict[tuple[str, str], int]) -> None:
        config, start = self._config, self._start
        message = message_of(record)
        if since + config.dedupe_for_s > start:
            self._ids.add(since, (record.sender, record.session, record.id), record.epoch).message = message
        if config.reliability == "hardened" and since + config.retention_s > start:
            session = self._sessions.by_name[record.session]
            waiting = {
                member: -1
                for name, member in session.members.items()
                if name != record.sender and has[record.session, name] < record.seq
            }
            self._ledger.restore(session, message, since, waiting)
