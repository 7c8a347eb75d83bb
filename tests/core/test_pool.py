"""Who is here: joining, leaving, and to whom a fan-out goes (protocol.md, sections 1 and 2)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chatsim.core.config import HandlerConfig
from chatsim.core.frames import Message, Typing
from tests.core.world import World, sends
from tests.thorough import examples

# Fan-out.


def test_a_message_goes_to_every_joined_connection_but_the_one_that_wrote_it() -> None:
    world = World()
    world.arrive("ann1", "ann2", "bob1", "bob2", "cid")
    world.connect("dan")
    [(to, message)] = sends(world.say("ann1"), Message)
    assert set(to) == {"ann2", "bob1", "bob2", "cid"}
    assert (message.sender, message.seq, message.attempt) == ("ann", 1, 1)


def test_who_wrote_without_having_joined_gets_no_copy() -> None:
    world = World()
    world.arrive("ann1", "bob")
    world.connect("ann2")
    [(to, _)] = sends(world.say("ann2"), Message)
    assert set(to) == {"ann1", "bob"}


def test_sessions_do_not_hear_each_other() -> None:
    world = World()
    world.arrive("ann", "bob")
    world.arrive("cid", session="t")
    assert [to for to, _ in sends(world.say("ann"), Message)] == [("bob",)]
    assert world.heard("cid", Message) == []


def test_typing_goes_to_no_connection_of_the_user() -> None:
    world = World()
    world.arrive("ann1", "bob", "ann2", "cid1", "cid2")
    [(to, _)] = sends(world.typing("ann1"), Typing)
    assert set(to) == {"bob", "cid1", "cid2"}


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["join", "leave", "gone", "say"]), st.sampled_from(["ann1", "ann2", "bob1", "bob2", "cid"])
    )
)


@examples(100)
@given(STEPS)
def test_the_fan_out_is_always_who_has_joined(steps: list[tuple[str, str]]) -> None:
    world = World(HandlerConfig(rate_limit=10_000))
    joined: set[str] = set()
    for number, (what, conn) in enumerate(steps):
        if what == "gone":
            world.gone(conn)
            joined.discard(conn)
            continue
        if not world.handler.knows(conn):
            world.connect(conn)
        if what == "join":
            world.join(conn)
            joined.add(conn)
        elif what == "leave":
            world.leave(conn)
            joined.discard(conn)
        elif joined:
            world.join(conn)
            joined.add(conn)
            to = {name for names, _ in sends(world.say(conn, str(number)), Message) for name in names}
            assert to == joined - {conn}
