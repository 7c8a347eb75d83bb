"""The calibrating crowd: raw connections to one server, which do one load after the other and read the meters.

Decides when each operation is done: a fixed time after the one before, whatever the server does; nothing is made up
for. Rule: what a load promises must have come back, or it has not been the load that it says. Between two operations
the server's CPU time is read, so that each of them has its own where the server slept in between.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Sequence
from itertools import compress, pairwise

import msgspec

from chatsim.core.tokens import issue
from chatsim.errors import HarnessError
from chatsim.live.calibration.line import Address, Line, ack, frame, knock
from chatsim.live.calibration.loads import MANY_SESSIONS, PING_INTERVAL_S, PINGED, SPREAD, Load
from chatsim.live.calibration.meters import Meter
from chatsim.live.calibration.seen import Grown, Seen
from chatsim.live.pauses import no_collections

ANSWER_S_MAX = 5.0
"""How long the last answers of a load may take."""

LATE_MAX = 3.0
"""A load takes at most so many times as long as it was meant to: what is left of it then is left out."""

OPS_MIN = 6
"""Fewest operations of a load."""

UNACKED_MAX = 32
"""So many messages are said at a time that are to be acked later, one by one."""

QUIET_S = 0.003
"""What a server takes at most to fall asleep again when all answers are there, and a margin."""

REST_S = 0.06
"""So long nothing comes of what waits for company (the notices of acks that a late crowd has sent together)."""

SPARE_S = 0.00004
"""So near to the next operation nothing more is read."""

TOKEN_S = 3600.0
WORDS = (
    b"what people say in one message of a chat: a hundred and twenty bytes, as the scenarios have it unless they say it"
)
_TYPING = b'{"type":"typing","session":"%b","active":true}'
_SAY = b'{"type":"message","id":"%b","session":"%b","body":"%b"}'
_JOIN = b'{"type":"status","action":"join","session":"%b"}'
_HEARTBEAT = b'{"type":"heartbeat","t":1}'
_AWAY, _ONLINE = (frame(b'{"type":"presence","state":"%b"}' % state) for state in (b"away", b"online"))

Burst = list[tuple[Line, bytes]]
"""What one operation sends, by connection."""


class DisturbedError(HarnessError):
    """What came back is not what the load promises: something of another load came late."""


class Crowd:
    """All connections to one server. Leave it by `close`."""

    def __init__(self, address: Address, meter: Meter, key: bytes, algorithm: str = "HS256") -> None:
        self.address = address
        self.meter = meter
        self._key, self._algorithm = key, algorithm
        self._poll = select.epoll()
        self._lines: dict[int, Line] = {}
        self._named: dict[str, Line] = {}
        self._numbered = 0
        # Sessions that the next token names beside those of its user.
        self._open_to: tuple[str, ...] = ()

    def close(self) -> None:
        """Everybody leaves."""
        for line in self._lines.values():
            line.close()
        self._lines.clear()
        self._named.clear()
        self._poll.close()

    # Coming and going.

    def token(self, user: str, *, ttl_s: float = TOKEN_S) -> str:
        """A token for any session that the user takes part in, which ends so many seconds from now."""
        self._numbered += 1
        wall = time.time()
        sessions = tuple(f"{user}-{number}" for number in range(MANY_SESSIONS))
        return issue(
            self._key,
            self._algorithm,
            sub=user,
            exp=wall + ttl_s,
            wall=min(wall, wall + ttl_s),
            jti=f"t{self._numbered}",
            sessions=(*sessions, *self._open_to),
        )

    def line(self, user: str, *sessions: str) -> Line:
        """The connection of this user, joined to these sessions; it is opened where there is none."""
        found = self._named.get(user)
        if found is None:
            self._open_to = sessions
            found = Line(self.address, self.token(user))
            self._named[user] = self._lines[found.fileno()] = found
            self._poll.register(found.fileno(), select.EPOLLIN)
            for session in sessions:
                found.join(session)
            self._open_to = ()
        return found

    def leave(self, users: list[str]) -> None:
        """These users go."""
        for user in users:
            line = self._named.pop(user)
            self._poll.unregister(line.fileno())
            del self._lines[line.fileno()]
            line.close()

    def grown(self, count: int, chunks: int) -> list[Grown]:
        """The server's memory that chunks of so many silent connections take, which then go again."""
        users: list[str] = []
        found = []
        self.settle()
        for chunk in range(chunks):
            before = self.meter.memory_bytes()
            fresh = [f"idle-{chunk}-{number}" for number in range(count)]
            for user in fresh:
                self.line(user, f"{user}-0")
            users += fresh
            self.settle()
            found.append(Grown(count, self.meter.memory_bytes() - before))
        self.leave(users)
        return found

    # Reading.

    def read(self, wait_s: float = 0.0) -> int:
        """How many frames have come by now, or within the wait."""
        lines = self._lines
        return sum(lines[number].read() for number, _ in self._poll.poll(wait_s))

    def settle(self, quiet_s: float = 0.008) -> None:
        """Wait until nothing more comes, and forget what did."""
        until = time.perf_counter() + ANSWER_S_MAX
        while self.read(quiet_s):
            if time.perf_counter() > until:
                raise HarnessError("The server does not fall silent: calibrate when nobody else uses it.")
        time.sleep(QUIET_S)

    def _hear(self, count: int) -> None:
        """Wait until so many frames have come."""
        heard, until = 0, time.perf_counter() + ANSWER_S_MAX
        while heard < count and time.perf_counter() < until:
            heard += self.read(0.01)
        if heard < count:
            raise HarnessError(f"Of {count} frames {heard} came: calibrate again, on a quieter machine.")

    # The loads.

    def play(self, load: Load, ops: int, gap_s: float) -> Seen:
        """So many operations of the load, so far apart (s), once the server is at rest.

        Raises HarnessError where what must come back does not, a DisturbedError where it may when it is played again.
        """
        with no_collections():
            if load.say == "nothing":
                self.settle()
                return self._watched(0, 0, lambda: self._wait(ops * gap_s))
            if load.say in ("refused", "let in"):
                return self.doors((load,), ops, gap_s)[0]
            if load.say == "pings":
                return self._pings(ops * gap_s)
            bursts = self._bursts(load, ops)
            self.settle()
            return self._paced(load, bursts, gap_s)

    def _watched(self, ops: int, frames: int, act: Callable[[], int]) -> Seen:
        """The meters before and after something that returns how much was heard."""
        meter = self.meter
        wakes, cpu_s, loop_s = meter.wakes(), meter.cpu_s(), meter.loop_s()
        crowd_s, began_at = time.process_time(), time.monotonic()
        heard = act()
        ended_at = time.monotonic()
        return Seen(
            ops=ops,
            frames=frames,
            heard=heard,
            wall_s=ended_at - began_at,
            crowd_s=time.process_time() - crowd_s,
            loop_s=meter.loop_s() - loop_s,
            cpu_s=meter.cpu_s() - cpu_s,
            wakes=meter.wakes() - wakes,
            spans=((began_at, ended_at),),
        )

    def _wait(self, for_s: float) -> int:
        until, heard = time.perf_counter() + for_s, 0
        while (left_s := until - time.perf_counter()) > 0:
            heard += self.read(left_s)
        return heard

    def _paced(self, load: Load, bursts: list[Burst], gap_s: float) -> Seen:
        """One operation every `gap_s`, and all answers to the last one."""
        each: list[float] = []
        at: list[float] = []
        asked: list[float] = []
        alone: list[bool] = []
        answered: list[float] = []
        late: list[float] = []
        clock, cpu_s, want = time.perf_counter, self.meter.cpu_s, load.heard
        bound_s = LATE_MAX * len(bursts) * gap_s

        def act() -> int:
            heard = 0

            def hears(more: int) -> None:
                nonlocal heard
                heard += more
                # Answers come in the order of what they answer.
                while load.timed and len(answered) < len(asked) and heard >= want * (len(answered) + 1):
                    answered.append(clock() - asked[len(answered)])

            due_at = first_at = clock()
            for burst in bursts:
                if clock() - first_at > bound_s and len(each) >= OPS_MIN and not len(each) % 2:
                    break
                while (now := clock()) < due_at:
                    if due_at - now > SPARE_S:
                        hears(self.read())
                late.append(now - due_at)
                at.append(time.monotonic())
                each.append(cpu_s())
                alone.append(len(answered) == len(asked))
                asked.append(clock())
                for line, data in burst:
                    line.send(data)
                # Nothing is made up for: operations that come together would be another load.
                due_at = max(due_at, now) + gap_s
            owed = want * len(each)
            least, until = load.heard_least * len(each) or owed, clock() + ANSWER_S_MAX
            while heard < owed and clock() < until:
                more = self.read(REST_S)
                hears(more)
                if not more and heard >= least:
                    break
            time.sleep(max(QUIET_S, gap_s))
            at.append(time.monotonic())
            each.append(cpu_s())
            return heard

        acked = self._acked()
        seen = self._watched(0, 0, act)
        ops = len(each) - 1
        expected = want * ops
        self._unsay(load, bursts[ops:])
        if not (load.heard_least * ops or expected) <= seen.heard <= expected:
            raise DisturbedError(
                f"Of the load {load.name!r} {seen.heard} frames came back, and {expected} should: "
                "calibrate again, on a quieter machine."
            )
        return msgspec.structs.replace(
            seen,
            ops=ops,
            frames=load.frames * ops + self._acked() - acked,
            paced_s=at[-2] - at[0] + gap_s,
            spans=tuple(pairwise(at)),
            each_s=_between(each),
            answered_s=tuple(answered),
            alone_s=tuple(compress(answered, alone)),
            late_s=sum(late) / len(late),
        )

    @staticmethod
    def _unsay(load: Load, bursts: list[Burst]) -> None:
        """What there was no time for has not been said."""
        if load.say == "presence":
            for [(line, _)] in bursts:
                line.away = not line.away

    def _acked(self) -> int:
        """How many acks have been sent as soon as something was heard."""
        return sum(line.acked for line in self._lines.values())

    def _bursts(self, load: Load, ops: int) -> list[Burst]:
        """What each operation sends; whoever is wanted for it is there afterwards."""
        say = load.say
        if say == "acked":
            return self._acks(load, ops)
        if say in ("told", "talked"):
            return self._told(load, ops)
        if load.lines > 1:
            return self._clumps(load, ops)
        if say == "presence":
            return self._changes(load, ops)
        turns = self._alone(say, SPREAD)
        if say == "said":
            count = load.frames
            return [
                [(line, b"".join(self.message(session) for _ in range(count)))]
                for line, session in (turns[op % SPREAD] for op in range(ops))
            ]
        said = [(line, frame(self._words(say, session))) for line, session in turns]
        if say == "again":
            self._first(said)
        return [[said[op % SPREAD]] for op in range(ops)]

    def _alone(self, title: str, count: int) -> list[tuple[Line, bytes]]:
        """So many of this title, and the session of each, in which nobody else is."""
        names = [f"{title}{number}" for number in range(count)]
        return [(self.line(name, f"{name}-0"), b"%b-0" % name.encode()) for name in names]

    def _words(self, say: str, session: bytes) -> bytes:
        """What is said there in a frame of this kind that is no new message."""
        if say == "heartbeat":
            return _HEARTBEAT
        if say == "again":
            return _SAY % (b"the same", session, WORDS)
        return (_TYPING if say == "typing" else _JOIN) % session

    def _first(self, said: Burst) -> None:
        """What is to be said again is said for the first time, where it was not yet."""
        for line, words in said:
            line.send(words)
        self._hear(len(said))

    def message(self, session: bytes) -> bytes:
        """A frame with a message to this session that nobody has said yet."""
        self._numbered += 1
        return frame(_SAY % (b"m%d" % self._numbered, session, WORDS))

    def _clumps(self, load: Load, ops: int) -> list[Burst]:
        """Many who say something at once, each in a session of her own."""
        lines = self._alone("clump", load.lines)
        if load.say == "said":
            return [[(line, self.message(session)) for line, session in lines] for _ in range(ops)]
        burst = [(line, frame(self._words(load.say, session))) for line, session in lines]
        if load.say == "again":
            self._first(burst)
        return [burst] * ops

    def _acks(self, load: Load, ops: int) -> list[Burst]:
        """Those who ack at once what another has said before, message by message, by turns in each hall."""
        halls = self._halls(f"heard by {load.lines}", load.lines)
        settles, each = load.settles, -(-ops // len(halls))
        firsts = [peers[0].seq + settles for _, _, peers in halls]
        for name, speaker, _ in halls:
            owed = each * settles
            for at in range(0, owed, UNACKED_MAX):
                count = min(UNACKED_MAX, owed - at)
                speaker.send(b"".join(self.message(name) for _ in range(count)))
                self._hear(count * (1 + load.lines))
        made = []
        for op in range(ops):
            turn, place = divmod(op, len(halls))
            name, _, peers = halls[place]
            said = ack(name, firsts[place] + turn * settles)
            made.append([(peer, said) for peer in peers])
        return made

    def _told(self, load: Load, ops: int) -> list[Burst]:
        """One who says something that so many others hear, and have not acked yet, or ack as soon as they have it."""
        halls = self._halls(f"{load.say} to {load.listeners}", load.listeners)
        if load.say == "talked":
            for name, _, peers in halls:
                for peer in peers:
                    peer.acks, peer.settles = name, load.settles
        rooms = load.frames
        turns = [[halls[(op * rooms + room) % len(halls)] for room in range(rooms)] for op in range(ops)]
        return [[(speaker, self.message(name)) for name, speaker, _ in turn] for turn in turns]

    def _halls(self, title: str, listeners: int) -> list[tuple[bytes, Line, list[Line]]]:
        """A session's name, who speaks in it and so many who listen, as often as the `SPREAD` allows; what an earlier
        load has left owing is acked, and no part of this one."""
        halls = []
        for number in range(max(1, SPREAD // (1 + listeners))):
            session = f"{title} in {number}"
            speaker = self.line(f"speaker of {session}", session)
            peers = [self.line(f"peer {place} of {session}", session) for place in range(listeners)]
            name = session.encode()
            halls.append((name, speaker, peers))
            for peer in peers:
                peer.send(ack(name, peer.seq))
        self.settle(REST_S)
        return halls

    def _changes(self, load: Load, ops: int) -> list[Burst]:
        """Those whose presence changes by turns, each on a scene of her own."""
        scenes = [self._scene(load, number) for number in range(max(1, SPREAD // (1 + load.listeners)))]
        made = []
        for op in range(ops):
            line = scenes[op % len(scenes)]
            line.away = not line.away
            made.append([(line, _AWAY if line.away else _ONLINE)])
        return made

    def _scene(self, load: Load, number: int) -> Line:
        """One whose presence so many others hear of, in so many sessions each."""
        name = f"stage{load.sessions}x{load.listeners}-{number}"
        sessions = [f"{name}-{place}" for place in range(load.sessions)]
        if name not in self._named:
            for place in range(load.listeners):
                self.line(f"{name}-hears-{place}", *sessions)
        return self.line(name, *sessions)

    def doors(self, loads: Sequence[Load], ops: int, gap_s: float) -> list[Seen]:
        """So many handshakes of each load, by turns, so that each has the others right beside it."""
        users = [f"door{number % 40}" for number in range(ops)]
        tokens = [[self._token(load, user) for load in loads] for user in users]
        spent: list[list[Seen]] = [[] for _ in loads]
        with no_collections():
            self.settle()
            due_at = time.perf_counter()
            for number, of_user in enumerate(tokens):
                for place in knocks(loads, number):
                    while (left_s := due_at - time.perf_counter()) > 0:
                        time.sleep(left_s)
                    seen = self._knocked(loads[place], of_user[place], gap_s)
                    if len(spent[place]) <= number:
                        spent[place].append(seen)
                    due_at = time.perf_counter() + QUIET_S / 4
        return [_sum(seen) for seen in spent]

    def _token(self, load: Load, user: str) -> str:
        ttl_s = -60.0 if load.token == "expired" else TOKEN_S
        return "" if load.token == "missing" else self.token(user, ttl_s=ttl_s)

    def _knocked(self, load: Load, token: str, gap_s: float) -> Seen:
        """One handshake, the end of its connection and the rest until the next."""
        wanted = b"HTTP/1.1 101 " if load.say == "let in" else b"HTTP/1.1 401 "

        def act() -> int:
            until = time.perf_counter() + gap_s
            _in_and_out(self.address, token, wanted)
            time.sleep(max(QUIET_S, until - time.perf_counter()))
            return 0

        seen = self._watched(1, 0, act)
        return msgspec.structs.replace(seen, each_s=(seen.cpu_s,))

    def _pings(self, for_s: float) -> Seen:
        """Connections that are pinged, and answer; the operations are the pings."""
        users = [f"pinged{number}" for number in range(PINGED)]
        lines = [self.line(user) for user in users]
        # The first ping of each comes within one interval of its start.
        self._wait(0.3)
        before = sum(line.pinged for line in lines)
        # Within an interval each has one: in a shorter time there may be none.
        seen = self._watched(0, 0, lambda: self._wait(max(for_s, PING_INTERVAL_S)))
        pinged = sum(line.pinged for line in lines) - before
        self.leave(users)
        return msgspec.structs.replace(seen, ops=pinged)


def knocks(loads: Sequence[Load], number: int) -> list[int]:
    """The places of the loads in the order in which they knock for the nth user; who knocks once more is not counted.

    A handshake pays a little for the one before it, and most for one that was let in, whose connection ends only then.
    So those that are refused go by turns first, and after who was let in comes one that only tidies up.
    """
    refused = [place for place, load in enumerate(loads) if load.say == "refused"][:: -1 if number % 2 else 1]
    let_in = [place for place, load in enumerate(loads) if load.say == "let in"]
    return refused + let_in + refused[len(refused) - len(let_in) :]


def _sum(parts: Sequence[Seen]) -> Seen:
    """What was seen bit by bit, as one."""
    return Seen(
        ops=sum(one.ops for one in parts),
        frames=0,
        heard=0,
        wall_s=sum(one.wall_s for one in parts),
        cpu_s=sum(one.cpu_s for one in parts),
        loop_s=sum(one.loop_s for one in parts),
        wakes=sum(one.wakes for one in parts),
        crowd_s=sum(one.crowd_s for one in parts),
        spans=tuple(span for one in parts for span in one.spans),
        each_s=tuple(s for one in parts for s in one.each_s),
    )


def _between(readings: list[float]) -> tuple[float, ...]:
    return tuple(after - before for before, after in pairwise(readings))


def _in_and_out(address: Address, token: str, wanted: bytes) -> None:
    """One handshake, read to its end, and the end of its connection."""
    made, came = knock(address, token)
    try:
        while wanted.startswith(b"HTTP/1.1 101") and b'"status":"welcome"' not in came:
            piece = made.recv(65536)
            if not piece:
                break
            came += piece
    except OSError as problem:
        raise HarnessError(f"The server broke off a handshake: {problem}.") from problem
    finally:
        made.close()
    if not came.startswith(wanted):
        raise HarnessError(f"The server answered a handshake with {came[:120]!r} instead of {wanted!r}.")
