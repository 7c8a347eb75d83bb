"""The tally counts what the handler itself knows: a real handler is the oracle."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import Append, Effects, Tell
from chatsim.core.frames import AckIn, Say, StatusIn, TypingIn
from chatsim.core.handler import ChatHandler
from chatsim.core.memory_log import MemoryLog
from chatsim.core.snapshot import Snapshot
from chatsim.core.tokens import Claims
from chatsim.journal.record import RunRecord
from chatsim.verdict.tally import COUNTERS, Tally
from tests.thorough import examples

BODY = msgspec.Raw(b'"hello"')


class Node:
    """A handler with its memory log, every step of which goes into a tally."""

    def __init__(self, config: HandlerConfig) -> None:
        self.now = 0.0
        self.handler = ChatHandler(config, epoch=1e9, seed=1)
        self.tally = Tally()
        self._log = MemoryLog()

    def do(self, door: str, *args: Any) -> Effects:
        effects: Effects = getattr(self.handler, door)(self.now, *args)
        self.tally.step(self.now, door, args, effects)
        for effect in effects:
            if isinstance(effect, Append):
                self.do("appended", self._log.append(effect.record))
            elif isinstance(effect, Tell):
                self.do("told", effect.session, effect.message)
        return effects

    def pass_time(self, until: float) -> None:
        while self.handler.wake_at() <= until:
            self.now = max(self.now, self.handler.wake_at())
            self.do("wake")
        self.now = until

    def enter(self, conn: str, user: str, last_seq: int | None = None) -> None:
        self.do("connect", conn, Claims(sub=user, exp=2e9, sessions=("room",)))
        frame = StatusIn("join", "room") if last_seq is None else StatusIn("join", "room", 1, last_seq)
        self.do("receive", conn, frame)


def a_room(config: HandlerConfig | None = None) -> Node:
    node = Node(config or HandlerConfig())
    for name in ("ann", "bob", "cem"):
        node.enter(f"{name}-1", name)
    return node


def test_every_receiver_of_an_accepted_message_is_owed_until_her_ack() -> None:
    node = a_room()
    node.do("receive", "ann-1", Say("a", "room", BODY))
    message_id = node.tally.accepted["ann", "a"]
    assert node.tally.owed[message_id] == {"bob": "waiting", "cem": "waiting"}
    node.do("receive", "bob-1", AckIn("room", 1))
    assert node.tally.owed[message_id] == {"bob": "delivered", "cem": "waiting"}
    assert node.tally.waiting == 1


def test_retries_and_giving_up_are_counted_by_user() -> None:
    node = a_room(HandlerConfig(pong_timeout_s=250.0))
    node.enter("bob-2", "bob")
    node.do("receive", "ann-1", Say("a", "room", BODY))
    node.do("receive", "cem-1", AckIn("room", 1))
    node.pass_time(119.0)
    assert node.tally.counters["retries"] == 3
    node.pass_time(121.0)
    assert node.tally.owed[node.tally.accepted["ann", "a"]] == {"bob": "no_ack", "cem": "delivered"}
    assert node.tally.counters["gave_up"] == 1


def test_a_receiver_who_was_away_is_owed_from_her_notice_on() -> None:
    node = a_room()
    node.do("disconnect", "cem-1")
    node.do("receive", "ann-1", Say("a", "room", BODY))
    node.do("receive", "bob-1", AckIn("room", 1))
    message_id = node.tally.accepted["ann", "a"]
    assert node.tally.owed[message_id] == {"bob": "delivered"}
    node.tally.await_(message_id, "cem")
    node.tally.await_(message_id, "bob")
    assert node.tally.owed[message_id] == {"bob": "delivered", "cem": "waiting"}
    node.enter("cem-2", "cem", last_seq=0)
    node.do("receive", "cem-2", AckIn("room", 1))
    assert node.tally.owed[message_id] == {"bob": "delivered", "cem": "delivered"}
    assert node.tally.counters["recovered"] == node.tally.counters["resumes"] == 1


def test_closes_are_noted_with_moment_and_code() -> None:
    node = a_room()
    node.pass_time(75.0)
    assert set(node.tally.closed) == {"ann-1", "bob-1", "cem-1"}
    assert all(25.0 < at <= 70.0 and code == 4001 for at, code in node.tally.closed.values())
    assert node.tally.counters["no_pong_closed"] == 3


def test_fill_keeps_what_others_counted() -> None:
    node = a_room()
    node.do("receive", "ann-1", Say("a", "room", BODY))
    record = RunRecord([], {}, {}, {}, {}, [], [], [], [], [], [], {"auth_refused": 7}, 1.0, 0.0)
    node.tally.fill(record)
    assert record.counters["auth_refused"] == 7
    assert record.counters["connections_peak"] == 3
    assert record.accepted == node.tally.accepted
    assert record.owed == node.tally.owed


USERS = st.sampled_from(["ann", "bob", "cem"])
STEPS = st.one_of(
    st.tuples(st.just("enter"), USERS, st.integers(0, 3)),
    st.tuples(st.just("go"), USERS, st.just(0)),
    st.tuples(st.just("say"), USERS, st.integers(0, 5)),
    st.tuples(st.just("type"), USERS, st.integers(0, 1)),
    st.tuples(st.just("ack"), USERS, st.integers(0, 4)),
    st.tuples(st.just("bad"), USERS, st.just(0)),
    st.tuples(st.just("wait"), USERS, st.sampled_from([1, 7, 31, 90])),
)


@examples(60)
@given(st.lists(STEPS, max_size=40), st.sampled_from(["hardened", "baseline"]))
def test_the_tally_agrees_with_the_handler_whatever_happens(steps: list[tuple[str, str, int]], rules: Any) -> None:
    node = Node(HandlerConfig(reliability=rules, rate_limit=3, violation_limit=2))
    conns: dict[str, str] = {}
    for place, (act, user, number) in enumerate(steps):
        conn = conns.get(user, "")
        if act == "enter":
            conns[user] = f"{user}-{place}"
            node.enter(conns[user], user, None if number == 0 else number)
        elif act == "go":
            node.do("disconnect", conn)
        elif act == "say":
            node.do("receive", conn, Say(str(number), "room", BODY))
        elif act == "type":
            node.do("receive", conn, TypingIn("room", bool(number)))
        elif act == "ack":
            node.do("receive", conn, AckIn("room", number))
        elif act == "bad":
            node.do("malformed", conn, "bad_json", "not JSON")
        else:
            node.pass_time(node.now + number)
    tally, ledger = node.tally, node.handler.ledger
    known = msgspec.structs.asdict(node.handler.counters) | {"gave_up": ledger.gave_up}
    assert {name: tally.counters[name] for name in COUNTERS if name in known} == {
        name: known[name] for name in COUNTERS if name in known
    }
    assert len(tally.accepted) <= known["accepted"]
    outcomes = [outcome for receivers in tally.owed.values() for outcome in receivers.values()]
    assert outcomes.count("delivered") == ledger.delivered
    assert len(outcomes) - outcomes.count("delivered") - tally.waiting == ledger.undelivered
    assert tally.waiting <= ledger.waiting


def test_a_node_that_is_killed_while_it_drains_was_never_drained() -> None:
    node = a_room()
    node.now = 10.0
    node.do("drain")
    node.tally.begin(Snapshot(), ())
    node.handler = ChatHandler(HandlerConfig(), epoch=1e9, seed=2, start=20.0)
    node.now = 20.0
    node.do("wake")
    node.enter("ann-2", "ann")
    node.do("disconnect", "ann-2")
    assert node.tally.drain_time_s == []
