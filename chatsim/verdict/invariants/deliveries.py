"""The invariants of delivery: who is sent a stored message, how often, and what is said of it afterwards.

Decides whether each send of a message was due to each of its recipients. Rule: one look at a fan-out as a whole, since
everyone who is joined and has caught up has it, and a session's numbers have no gaps; by connection is kept only what
stands behind a replay, by user what is sent again. Moments and durations in seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from math import inf
from zlib import crc32

from chatsim.core.delivery import Ledger
from chatsim.core.effects import Conn
from chatsim.core.frames import AckIn, Delivered, Joined, Left, Message, StatusIn, Undelivered
from chatsim.core.positions import EVERY_S
from chatsim.core.sessions import is_own
from chatsim.core.snapshot import Snapshot
from chatsim.verdict.invariants.catalogue import Findings
from chatsim.verdict.invariants.peers import EPS_S
from chatsim.verdict.invariants.roster import Peer, Room, Roster, Said


class _Again:
    """How often a message was sent again to one user since her last replay, and when last."""

    __slots__ = ("at", "attempt", "tries")

    def __init__(self, at: float, attempt: int) -> None:
        self.at = at
        self.attempt = attempt
        self.tries = 0


class DeliveryRules:
    """What is watched of joins, fan-outs, replays, retries and notices."""

    def __init__(self, roster: Roster, findings: Findings, slack_s: float) -> None:
        self._roster = roster
        self._add = findings.add
        self.slack_s = slack_s
        self._hardened = roster.config.reliability == "hardened"
        self._again: dict[tuple[str, str], _Again] = {}
        # How many messages the fan-out of this step was for, and what of the step was sent out of a line that waits.
        self._due = 0
        self._moved: set[Conn] = set()
        self._pressed: Peer | None = None
        # Of whom the node was asked to tell when nothing waits any more.
        self._watched: set[Conn] = set()
        # Who was gone (when) as something (the first seq) was stored in her own session, and has not come since.
        self._waits: dict[str, tuple[float, int]] = {}
        # After which seq of its user's own session each connection is sent it: who resumes goes on where another was.
        self._since: dict[Conn, int] = {}
        # Up to which seq of it what waits for its user may be on its way to a connection, as soon as there is room.
        self._catching: dict[Conn, int] = {}
        self._delivered = self._undelivered = 0
        # When what was last given up for whom in this life, and what of that in earlier ones is never owed again.
        self._given_up: dict[tuple[str, str], float] = {}
        self._over: set[tuple[str, str]] = set()
        # When each user last acked anything of a session.
        self._acked_at: dict[tuple[str, str], float] = {}

    def begin(self, snapshot: Snapshot, kept_until: float) -> None:
        """The node begins again: what waits is sent again when its receiver comes back. Its log has all that it was
        told before `kept_until`."""
        self._keep_over(kept_until - EVERY_S - self.slack_s)
        self._again.clear()
        self._watched.clear()
        self._waits.clear()
        # Who takes the place of a connection of an earlier life goes on where that one was.
        self._since = {conn: seq for s in snapshot.sessions if is_own(s.name) for _, to in s.starts for conn, seq in to}
        self._catching.clear()
        self._delivered = self._undelivered = 0

    def _keep_over(self, until: float) -> None:
        """Remember what is never owed again, now that a life has ended: what was given up before `until`, the last
        moment of which its log knows for sure who had come how far. It knows one place for each member of a session, so
        that nothing older is to have been waiting for her then."""
        # For each session, and each of those for whom something of it was given up, the first that may have waited.
        firsts: dict[str, dict[str, float]] = {}
        for message_id, user in self._given_up:
            said = self._roster.said[message_id]
            room = self._roster.rooms.get(said.session)
            if room is not None and room.epoch == said.epoch:
                firsts.setdefault(said.session, {})[user] = inf
        for message_id, said in self._roster.said.items():
            first = firsts.get(said.session, {})
            for user in first if first and said.epoch == self._roster.rooms[said.session].epoch else ():
                if said.seq < first[user] and not self._is_settled(message_id, said, user, until):
                    first[user] = said.seq
        for (message_id, user), at in self._given_up.items():
            said = self._roster.said[message_id]
            if at < until and said.seq < firsts.get(said.session, {}).get(user, -inf):
                self._over.add((message_id, user))
        self._given_up.clear()
        self._acked_at.clear()

    def _is_settled(self, message_id: str, said: Said, user: str, until: float) -> bool:
        """Whether the message did surely not wait for the user at that moment (s)."""
        if user == said.sender or (message_id, user) in self._over:
            return True
        if self._roster.rooms[said.session].has_acked(user, said.seq):
            return self._acked_at.get((said.session, user), -inf) < until
        return self._given_up.get((message_id, user), inf) < until

    def compare(self, now: float, ledger: Ledger) -> None:
        """What was told to authors in this life is what the handler's ledger has counted."""
        told, counted = (self._delivered, self._undelivered), (ledger.delivered, ledger.undelivered)
        if told != counted:
            self._add("ledger", now, f"{told} were told to be delivered and not, and {counted} are counted.")

    # Joining.

    def came(self, now: float, peer: Peer) -> None:
        """Somebody was welcomed: what was stored in her own session since she was gone went out to her."""
        name = "@" + peer.user
        self._since[peer.name] = peer.rooms.get(name, 0)
        gone_at, first = self._waits.pop(peer.user, (0.0, 0))
        if not first or now >= gone_at + self._roster.config.retention_s - self.slack_s:
            return
        room = self._roster.rooms.get(name)
        if room is not None and peer.rooms[name] >= first and self._all_kept(now, name, room.seq - first + 1):
            self._add("replay", now, f"{first} of {name} waits for {peer.name}, and is not sent.")

    def dropped(self, now: float, peer: Peer) -> None:
        """A connection is gone: what no other device of its user was sent, and is kept, is due to the newest that is
        left of those that were sent nothing newer, whoever comes before it has room for that."""
        self._catching.pop(peer.name, None)
        devices = [d for d in self._roster.users.get(peer.user, {}).values() if d.name in self._since]
        name = "@" + peer.user
        room = self._roster.rooms.get(name)
        fresh = [device for device in devices if room is not None and self._since_of(device, name) == room.seq]
        if room is None or not fresh:
            return
        sent_to_none = min(self._since_of(device, name) for device in devices)
        kept = range(max(room.seq - self._roster.config.retention_messages, 0) + 1, sent_to_none + 1)
        if any(not room.has_acked(peer.user, seq) and not self._gone(now, room, room.seq - seq + 1) for seq in kept):
            self._catching[fresh[-1].name] = sent_to_none

    def _since_of(self, device: Peer, name: str) -> int:
        return self._since.get(device.name, device.rooms[name])

    def put_out(self, user: str) -> None:
        """All that waited for the user has ended."""
        self._waits.pop(user, None)

    def joined(self, now: float, door: str, peer: Peer, asked: object, frame: Joined) -> None:
        """A join is answered."""
        room = self._roster.room(frame.session, frame.epoch)
        may = peer.user in room.participants and (peer.allowed is None or frame.session in peer.allowed)
        if not may and frame.session != "@" + peer.user:
            self._add("participant", now, f"{peer.user} was let into {frame.session}.")
        if not room.seq:
            # The first message of a session brings its epoch.
            room.epoch = frame.epoch
        if (frame.epoch, frame.seq) != (room.epoch, room.seq):
            self._add("replay", now, f"{frame.session} is at {room.seq}, and {peer.name} was told {frame.seq}.")
        last_seq = asked.last_seq if isinstance(asked, StatusIn) and isinstance(asked.last_seq, int) else None
        self._check_resume(now, room, peer, asked, frame, last_seq)
        room.enter(peer, frame.seq - frame.replayed)
        self._goes_on(peer, asked, frame)
        if frame.replayed:
            waited = bool(peer.behind)
            peer.behind[frame.session] = deque(range(frame.seq - frame.replayed + 1, frame.seq + 1))
            room.behind.add(peer.name)
            if not waited:
                self._pressed = peer

    def _check_resume(
        self, now: float, room: Room, peer: Peer, asked: object, frame: Joined, last_seq: int | None
    ) -> None:
        same = isinstance(asked, StatusIn) and (not isinstance(asked.epoch, int) or asked.epoch == frame.epoch)
        missed = frame.seq - last_seq if last_seq is not None else 0
        if frame.recovered and (last_seq is None or not same or missed < 0):
            self._add("replay", now, f"{peer.name} is told to have recovered what it did not ask for.")
        elif frame.replayed != (missed if frame.recovered else 0):
            self._add("replay", now, f"{frame.replayed} of {missed} missed messages are for {peer.name}.")
        elif not frame.recovered and last_seq is not None and same and self._all_kept(now, frame.session, missed):
            self._add("recovery", now, f"all {missed} messages that {peer.name} missed are kept.")
        elif frame.recovered and self._gone(now, room, missed):
            self._add("recovery", now, f"{peer.name} is to have {missed} messages, and not all of them are kept.")

    def _goes_on(self, peer: Peer, asked: object, frame: Joined) -> None:
        """Who resumes in her own session was sent there what her former connection was, and acks no more than that,
        whatever else she was sent on this one before she said so."""
        if frame.recovered and frame.session == "@" + peer.user and isinstance(asked, StatusIn):
            former = asked.replaces if isinstance(asked.replaces, str) else ""
            since = self._since[peer.name] = min(self._since.get(former, 0), frame.seq - frame.replayed)
            peer.rooms[frame.session] = max(peer.rooms[frame.session], since)
            self._since[former] = 0
            # She has had what was stored until then, and what comes of it again is a retry.
            self._catching.pop(peer.name, None)

    def _gone(self, now: float, room: Room, missed: int) -> bool:
        """Whether some of the newest `missed` messages are surely out of retention."""
        config, kept = self._roster.config, room.kept
        if missed > config.retention_messages:
            return True
        oldest = kept[len(kept) - missed] if 0 < missed <= len(kept) else None
        return oldest is not None and now > oldest.at + config.retention_s + EPS_S

    def _all_kept(self, now: float, session: str, missed: int) -> bool:
        """Whether the newest `missed` messages are surely within retention."""
        if missed < 0 or not self._hardened:
            return False
        config, kept = self._roster.config, self._roster.rooms[session].kept
        if missed > min(config.retention_messages, len(kept)):
            return False
        newest = list(kept)[len(kept) - missed :]
        if sum(one.size_bytes for one in newest) > config.retention_bytes:
            return False
        return all(one.at > now - config.retention_s + self.slack_s for one in newest)

    def left(self, now: float, door: str, peers: list[Peer], frame: Left) -> None:
        """Connections are told that they are joined no more."""
        room = self._roster.rooms.get(frame.session)
        if room is None:
            return
        for peer in peers:
            room.leave(peer, now)
            if frame.reason == "left" and peer.user not in room.here:
                room.absent.pop(peer.user, None)

    # Messages.

    def message(self, now: float, door: str, to: tuple[Conn, ...], frame: Message, author: Conn | None) -> None:
        """A message goes out; `author` is the connection that wrote it, None where this is not its first send."""
        room = self._roster.rooms.get(frame.session)
        said = self._roster.said.get(frame.message_id)
        if room is None or said is None:
            self._add("fan_out", now, f"{frame.message_id} of {frame.session} is sent, and is not stored.")
            return
        if (frame.session, frame.epoch, frame.seq, frame.sender, frame.sent_at) != (
            said.session,
            said.epoch,
            said.seq,
            said.sender,
            said.sent_at,
        ) or crc32(frame.body) != said.written:
            self._add("as_written", now, f"{frame.message_id} goes out as what it is not, at attempt {frame.attempt}.")
        if not room.joined.issuperset(to):
            self._add("participant", now, f"{frame.message_id} goes to connections that are not in {room.name}.")
            return
        if author is not None:
            if len(to) != self._due or author in to or len(set(to)) != len(to) or not room.behind.isdisjoint(to):
                self._add("fan_out", now, f"{frame.message_id} goes to {len(to)} of {len(room.joined)} in {room.name}.")
            self._due = 0
        elif self._catches_up(room, to, frame.seq) or door in ("receive", "pressure", "connect"):
            self._in_line(now, to, frame)
        elif door == "wake":
            if room.behind:
                self._overtakes(now, room, to, frame.seq)
            for user in dict.fromkeys(self._roster.peers[conn].user for conn in to):
                self._retried(now, user, frame, said)
        else:
            self._add("fan_out", now, f"{frame.message_id} is sent at {door}.")

    def stored(self, now: float, room: Room, seq: int, author: Conn) -> None:
        """A message has the next place in its session: who has caught up is to have it now, others in line."""
        behind = room.behind
        self._due = len(room.joined) - len(behind | {author} if author in room.joined else behind)
        for conn in behind:
            if conn != author:
                self._roster.peers[conn].behind[room.name].append(seq)
        owner = room.name[1:]
        if room.name[0] == "@" and now < room.absent.get(owner, -inf) + self._roster.config.retention_s:
            self._waits.setdefault(owner, (room.absent[owner], seq))

    def press(self, now: float, conn: Conn, queued: int) -> None:
        """The node tells how much waits for a connection: where that is nothing, what stands in line goes on."""
        peer = self._roster.peers.get(conn)
        if peer is None or queued:
            return
        self._watched.discard(conn)
        if peer.behind:
            self._pressed = peer

    def watch(self, conn: Conn) -> None:
        """The node is asked to tell when nothing waits for the connection any more."""
        self._watched.add(conn)

    def _catches_up(self, room: Room, to: tuple[Conn, ...], seq: int) -> bool:
        """Whether this is what waits for somebody in her own session, and is sent there to a connection that began
        after it and was sent nothing newer: from the first that she has not acked to the newest, if no other device of
        hers is to have it."""
        peer = self._roster.peers[to[0]]
        if not self._hardened or len(to) > 1 or room.name != "@" + peer.user:
            return False
        if room.name in peer.behind:
            return peer.behind[room.name][0] == seq
        # Who is about to be welcomed is not yet there for what is sent to another.
        devices = [d for d in self._roster.users[peer.user].values() if d is peer or d.name in self._since]
        since = {device.name: self._since_of(device, room.name) for device in devices}
        newest = next((name for name in reversed(since) if since[name] == room.seq), None)
        reached = any(at < seq for at in since.values()) or newest != peer.name
        if room.has_acked(peer.user, seq) or (reached and seq > self._catching.get(peer.name, 0)):
            return False
        # From here on it has its line, and what comes again is a retry.
        self._catching.pop(peer.name, None)
        room.enter(peer, seq - 1)
        self._since[peer.name] = seq - 1
        peer.behind[room.name] = deque(range(seq, room.seq + 1))
        room.behind.add(peer.name)
        return True

    def _in_line(self, now: float, to: tuple[Conn, ...], frame: Message) -> None:
        peer = self._roster.peers[to[0]]
        line = peer.behind.get(frame.session)
        if not line or len(to) > 1 or line[0] != frame.seq:
            self._add("replay", now, f"{frame.session} {frame.seq} is not what {to[0]} is to have next.")
            return
        line.popleft()
        self._moved.add(peer.name)
        if not line:
            self._roster.rooms[frame.session].caught_up(peer)
        if frame.attempt > 1:
            self._again[frame.message_id, peer.user] = _Again(now, frame.attempt)

    def end_of_step(self, now: float) -> None:
        """What is to be sent now is sent in this step, and what is left is asked for."""
        if self._due:
            self._add("fan_out", now, f"a message was not sent to {self._due} who are joined.")
            self._due = 0
        pressed, peers = self._pressed, self._roster.peers
        if pressed is not None:
            self._pressed = None
            if pressed.name not in self._moved and pressed.name in peers and pressed.name not in self._watched:
                self._add("replay", now, f"{pressed.name} can have more, and is sent nothing.")
        for conn in self._moved:
            if conn in peers and peers[conn].behind and conn not in self._watched:
                self._add("replay", now, f"what is left for {conn} will not be asked for.")
        self._moved.clear()

    def _overtakes(self, now: float, room: Room, to: tuple[Conn, ...], seq: int) -> None:
        """Whether a retry comes to somebody before what stands in line for her."""
        for conn in room.behind.intersection(to):
            first = self._roster.peers[conn].behind[room.name][0]
            if first <= seq:
                self._add("replay", now, f"{room.name} {seq} goes to {conn} before {first}.")

    def _retried(self, now: float, user: str, frame: Message, said: Said) -> None:
        config = self._roster.config
        if user == said.sender:
            self._add("retries", now, f"{frame.message_id} goes to its own author again.")
            return
        room = self._roster.rooms[said.session]
        if room.epoch == said.epoch and room.has_acked(user, said.seq):
            self._add("retry_after_ack", now, f"{frame.message_id} goes to {user} again.")
        again = self._again.get((frame.message_id, user))
        if again is None:
            again = self._again[frame.message_id, user] = _Again(said.at, 1)
        if not self._hardened:
            # Here attempts go on while nobody is there to have them.
            again.at, again.tries = said.at + (frame.attempt - 2) * config.retry_interval_s, frame.attempt - 2
            again.attempt = frame.attempt - 1
        waited_s = now - again.at
        again.tries += 1
        if again.tries > config.retries or frame.attempt != again.attempt + 1:
            self._add("retries", now, f"attempt {frame.attempt} of {frame.message_id} goes to {user}.")
        slack_s = self.slack_s * (1 if self._hardened else frame.attempt)
        if not config.retry_interval_s - EPS_S <= waited_s <= config.retry_interval_s + slack_s:
            self._add("retries", now, f"{frame.message_id} goes to {user} again after {waited_s:g} s.")
        again.at, again.attempt = now, frame.attempt

    # What is said of them.

    def ack(self, now: float, peer: Peer, frame: AckIn) -> None:
        """A client acks up to a message, or one message."""
        epoch: int | None = None
        if isinstance(frame.message_id, str):
            said = self._roster.said.get(frame.message_id)
            if said is None:
                return
            session, after, up_to, epoch = said.session, said.seq - 1, said.seq, said.epoch
        elif isinstance(frame.session, str) and isinstance(frame.up_to, int):
            session, up_to = frame.session, frame.up_to
            after = peer.rooms.get(session, -1)
        else:
            return
        room = self._roster.rooms.get(session)
        # Of a session that has ended there is nothing left to ack in the next of its name.
        if room is None or session not in peer.rooms or epoch not in (None, room.epoch):
            return
        up_to = min(up_to, room.seq)
        if up_to <= after:
            return
        self._acked_at[session, peer.user] = now
        stretches = room.acks.get(peer.user)
        if stretches is None:
            room.acks[peer.user] = [[after, up_to]]
        elif stretches[-1][0] <= after <= stretches[-1][1]:
            stretches[-1][1] = max(stretches[-1][1], up_to)
        else:
            stretches.append([after, up_to])

    def notified(self, now: float, to: tuple[Conn, ...], message_ids: Sequence[str]) -> None:
        """What became of these messages is told to these connections."""
        for message_id in message_ids:
            said = self._roster.said.get(message_id)
            if said is not None and self._roster.users.get(said.sender, {}).keys() != set(to):
                self._add("notices", now, f"what became of {message_id} is not for {len(to)} of {said.sender}.")
                return

    def _check_receiver(self, now: float, message_id: str, user: str) -> None:
        """The message was owed to the user. Of one from an earlier life it is not known who was there."""
        said = self._roster.said.get(message_id)
        if said is None or said.at <= self._roster.began_at:
            return
        if user == said.sender or not (user in said.present or user in said.absent or user in said.late):
            self._add("receivers", now, f"{message_id} was owed to {user}, who was no receiver of it.")

    def delivered(self, now: float, door: str, peer: Peer | None, asked: object, notice: Delivered) -> None:
        """An author is told that somebody has her messages."""
        self._delivered += len(notice.message_ids)
        for message_id in notice.message_ids:
            self._check_receiver(now, message_id, notice.user)
        if door != "receive" or not isinstance(asked, AckIn) or peer is None or peer.user != notice.user:
            self._add("delivered", now, f"{notice.user} acked nothing, and is said to have {notice.message_ids[0]}.")
            return
        for message_id in notice.message_ids:
            said = self._roster.said.get(message_id)
            acked = said is not None and (
                asked.message_id == message_id
                or (said.session == asked.session and isinstance(asked.up_to, int) and said.seq <= asked.up_to)
            )
            if not acked:
                self._add("delivered", now, f"{notice.user} has not acked {message_id}.")
                return

    def undelivered(self, now: float, notice: Undelivered) -> None:
        """A message is given up for somebody."""
        self._undelivered += 1
        self._check_receiver(now, notice.message_id, notice.user)
        said, config = self._roster.said.get(notice.message_id), self._roster.config
        room = self._roster.rooms.get(notice.session)
        if said is None:
            self._add("given_up", now, f"{notice.message_id} was never stored.")
            return
        key = notice.message_id, notice.user
        if key in self._over:
            self._add("given_up", now, f"{notice.message_id} for {notice.user}, as in an earlier life.")
        self._given_up[key] = now
        again = self._again.pop(key, None)
        if notice.reason == "no_ack":
            tries, at = (0, said.at) if again is None else (again.tries, again.at)
            if self._hardened and (tries != config.retries or now < at + config.retry_interval_s - EPS_S):
                self._add("given_up", now, f"{notice.message_id} for {notice.user} after {tries} retries.")
            elif now < said.at + (config.retries + 1) * config.retry_interval_s - EPS_S:
                self._add("given_up", now, f"{notice.message_id} for {notice.user} after {now - said.at:g} s.")
        elif notice.reason == "expired" and room is not None:
            if self._all_kept_since(now, notice.session, said):
                self._add("given_up", now, f"{notice.message_id} is kept, and {notice.user} may come for it.")
            # What was sent again lately may still be acked, though it is out of retention.
            sent_at = said.at if again is None else again.at
            ends_at = max(said.at + config.retention_s, sent_at + config.retry_interval_s)
            if self._hardened and self._roster.began_at < said.at and now > ends_at + self.slack_s:
                self._add("given_up", now, f"{notice.message_id} was over for {notice.user} at {ends_at:g} s.")

    def _all_kept_since(self, now: float, session: str, said: Said) -> bool:
        return said.epoch == self._roster.rooms[session].epoch and self._all_kept(
            now, session, self._roster.rooms[session].seq - said.seq + 1
        )
