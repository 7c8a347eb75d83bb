"""Slow readers: spared typing and presence above half of a limit, told the newest of it when there is room."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import Effect, Send
from chatsim.core.frames import Presence, PresenceIn, Typing
from tests.core.world import World, sends
from tests.thorough import examples

ABOVE_HALF = 2**19 + 1


def signals(effects: list[Effect], conn: str) -> list[tuple[str, str, object]]:
    """The signals that the connection is sent: kind, of whom, and what."""
    found: list[tuple[str, str, object]] = []
    for effect in effects:
        if isinstance(effect, Send) and conn in effect.to:
            frame = effect.message
            if isinstance(frame, Presence):
                found.append(("presence", frame.user, frame.state))
            elif isinstance(frame, Typing):
                found.append(("typing", frame.user, frame.active))
    return found


def lagging(config: HandlerConfig | None = None) -> World:
    """Bob lags, and has read nothing yet; ann and cid are with him."""
    world = World(config)
    world.arrive("ann", "bob", "cid")
    world.slow.add("bob")
    world.do("pressure", "bob", ABOVE_HALF)
    return world


def test_who_lagged_is_told_the_newest_of_what_she_was_spared_the_oldest_first() -> None:
    world = lagging()
    world.typing("ann")
    world.receive("cid", PresenceIn("away"))
    world.receive("cid", PresenceIn("online"))
    world.receive("ann", PresenceIn("away"))
    assert world.watched == ["bob"], "the shell is asked once to say when there is room"
    world.pass_s(14)
    found = signals(world.relieve("bob"), "bob")
    assert found == [("presence", "cid", "online"), ("presence", "ann", "away"), ("typing", "ann", False)]
    assert world.relieve("bob") == []
    assert signals(world.typing("ann"), "bob") == [("typing", "ann", True)]


def test_it_is_told_as_soon_as_no_more_than_half_waits() -> None:
    world = lagging()
    world.typing("ann")
    assert signals(world.do("pressure", "bob", ABOVE_HALF, 1), "bob") == []
    assert signals(world.do("pressure", "bob", ABOVE_HALF - 1, 128), "bob") == [("typing", "ann", True)]


def test_what_comes_while_something_waits_stands_behind_it() -> None:
    world = lagging(HandlerConfig(outbound_frames=4))
    world.typing("ann")
    world.typing("cid")
    assert signals(world.relieve("bob"), "bob") == [("typing", "ann", True)], "a part is a quarter of the limit"
    assert world.watched == ["bob", "bob"]
    world.pass_s(4)
    assert signals(world.typing("ann"), "bob") == []
    assert signals(world.relieve("bob"), "bob") == [("typing", "cid", True)]
    assert signals(world.relieve("bob"), "bob") == [("typing", "ann", True)]
    assert world.handler.counters.dropped == {"typing": 3}
    assert world.handler.counters.typing_events == 6


def test_parts_are_bounded_by_their_bytes_too() -> None:
    world = World(HandlerConfig(outbound_bytes=4096))
    world.arrive(*(name * 100 for name in "abcd"), "bob")
    world.slow.add("bob")
    world.do("pressure", "bob", 4000)
    for name in "abcd":
        world.typing(name * 100)
    # A kilobyte at a time: two of 128 bytes and names of 101 letters.
    assert [len(signals(world.relieve("bob"), "bob")) for _ in range(4)] == [1, 1, 1, 1]


def test_of_a_session_that_one_has_left_nothing_is_told() -> None:
    for ending in ("leave", "end_session", "remove_participant"):
        world = lagging()
        world.typing("ann")
        if ending == "leave":
            world.leave("bob")
        else:
            world.do(ending, "s", *(["bob"] if ending == "remove_participant" else []))
        assert signals(world.relieve("bob"), "bob") == []
        assert world.handler._laggards.count == 0


def test_who_was_spared_more_than_could_be_told_is_closed() -> None:
    world = World(HandlerConfig(outbound_frames=4))
    world.arrive(*(f"u{chr(97 + number)}" for number in range(17)), "bob")
    world.slow.add("bob")
    world.do("pressure", "bob", ABOVE_HALF)
    for number in range(16):
        world.typing(f"u{chr(97 + number)}")
    assert world.closes() == []
    world.typing("uq")
    assert [(conn, code) for _, conn, code in world.closes()] == [("bob", 4000)]
    assert world.handler.counters.slow_closed == 1
    assert world.handler._laggards.count == 0


@given(
    st.lists(
        st.tuples(st.sampled_from(["ann", "cid", "dan"]), st.sampled_from(["typing", "away", "online", "wait", "lag"])),
        max_size=40,
    )
)
@examples(100)
def test_a_slow_reader_ends_with_the_picture_of_a_fast_one(story: list[tuple[str, str]]) -> None:
    """Whatever happens: eve, who reads at once, and bob, who lags now and then, believe the same in the end."""
    world = World(HandlerConfig(outbound_frames=8))
    world.arrive("ann", "bob", "cid", "dan", "eve")
    world.done.clear()
    world.slow.add("bob")
    for who, what in story:
        if what == "typing":
            world.typing(who)
        elif what == "wait":
            world.pass_s(2)
        elif what == "lag":
            world.do("pressure", "bob", ABOVE_HALF)
        else:
            world.receive(who, PresenceIn("away" if what == "away" else "online"))
    world.pass_s(20)
    while world.handler._laggards.count:
        world.relieve("bob")
    done = [effect for _, effect in world.done]
    pictures = [{(kind, user): what for kind, user, what in signals(done, conn)} for conn in ("bob", "eve")]
    assert pictures[0] == pictures[1]


def test_the_others_are_told_at_once() -> None:
    world = lagging()
    assert [to for to, _ in sends(world.typing("ann"), Typing)] == [("cid",)]
    assert [to for to, _ in sends(world.typing("cid"), Typing)] == [("ann",)]
