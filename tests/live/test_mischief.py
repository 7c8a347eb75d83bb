"""Each fault strikes whom it should, does what its word says, and heals."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from chatsim.core.config import HandlerConfig
from chatsim.errors import HarnessError, UsageError
from chatsim.live.mischief import Mischief, check_events
from chatsim.people.people import Device, Person
from chatsim.people.strikes import Order
from chatsim.scenario import events as ev
from chatsim.scenario.model import Scenario
from tests.live.arena import Arena, play


def events(*words: dict[str, Any]) -> Sequence[Any]:
    """Events as a scenario's reader makes them."""
    groups = [{"name": "g", "users": 2}]
    mapping = {"name": "x", "duration": "1min", "groups": groups, "expect": ["lost == 0"], "events": list(words)}
    return Scenario.of(mapping).events


def made_for(
    arena: Arena,
    victim: Person,
    revoke: Callable[[Sequence[Device]], Awaitable[None]],
    clock_jump: Callable[[float], Awaitable[None] | None] | None = None,
) -> Mischief:
    """Mischief that always chooses this victim, in a run that never ends."""

    class Server:
        """The orders that a test does not give for itself."""

        async def revoke(self, devices: Sequence[Device]) -> None:
            await revoke(devices)

        async def give(self, order: Order) -> None:
            raise HarnessError(f"{order} was given")

        async def end_node(self, event: ev.NodeEvent) -> bool:
            return isinstance(event, ev.CrashNode)

        async def hold_log(self, for_s: float) -> None:
            raise HarnessError(f"the log held for {for_s:g} s")

    chosen = [victim.number]
    return Mischief(arena.crowd, lambda *_: chosen, arena.purse, Server(), 1e9, clock_jump)


def strike(
    words: dict[str, Any], then: Callable[[Arena, Person, Person], Awaitable[None]], *, devices: int = 1, **how: Any
) -> tuple[Mischief, Any]:
    """Ann and Bob are there, he with so many devices; the event strikes Bob; then the rest of the test."""
    made: list[Mischief] = []

    async def test(arena: Arena) -> None:
        ann, bob = arena.add("ann"), arena.add("bob", devices=devices)
        await arena.joined(ann, bob)
        mischief = made_for(arena, bob, arena.revoke)
        made.append(mischief)
        mischief.schedule(events({"at": "0s"} | words))
        await arena.until(lambda: mischief.fired)
        await then(arena, ann, bob)

    crowd = play(test, **how)
    assert [(fired.do, fired.users) for fired in made[0].fired] == [(words["do"], ("bob",))]
    return made[0], crowd


def test_a_partition_delays_what_is_said_and_loses_nothing() -> None:
    async def then(arena: Arena, ann: Person, bob: Person) -> None:
        struck_at = arena.calendar.now()
        arena.say(ann)
        await arena.until(lambda: arena.received() == 1)
        assert arena.calendar.now() - struck_at > 0.1

    strike({"do": "partition", "for": "150ms"}, then)


def test_latency_is_multiplied_and_heals() -> None:
    async def then(arena: Arena, ann: Person, bob: Person) -> None:
        peer = arena.crowd.peers[bob.devices[0].number]
        assert peer.up.factor == peer.down.factor == 3.0
        await arena.until(lambda: peer.up.factor == peer.down.factor == 1.0)

    strike({"do": "latency", "factor": 3, "for": "50ms"}, then)


def test_loss_and_slow_reading_heal() -> None:
    async def lossy(arena: Arena, ann: Person, bob: Person) -> None:
        peer = arena.crowd.peers[bob.devices[0].number]
        assert peer.down.extra_loss == 0.2
        await arena.until(lambda: peer.down.extra_loss == 0.0)

    async def slow(arena: Arena, ann: Person, bob: Person) -> None:
        peer = arena.crowd.peers[bob.devices[0].number]
        assert peer.down.bandwidth_bit_per_s == 1e6
        await arena.until(lambda: peer.down.bandwidth_bit_per_s is None)

    strike({"do": "loss", "rate": "20%", "for": "50ms"}, lossy)
    strike({"do": "slow_reader", "bandwidth": "1Mbit/s", "for": "50ms"}, slow, narrow=frozenset({"g"}))


def test_a_flood_says_as_much_as_its_rate() -> None:
    async def then(arena: Arena, ann: Person, bob: Person) -> None:
        await arena.until(lambda: len(arena.crowd.people.sent) == 20 and arena.received() == 20)

    strike({"do": "flood", "rate": "200/s", "for": "100ms"}, then)


def test_bad_frames_close_who_sends_too_many() -> None:
    async def then(arena: Arena, ann: Person, bob: Person) -> None:
        await arena.until(lambda: bob.devices[0].number not in arena.crowd.peers)
        assert bob.devices[0].client.state == "idle"

    strike({"do": "bad_frames", "rate": "100/s", "for": "1s"}, then, config=HandlerConfig(violation_limit=2))


@pytest.mark.parametrize(("kind", "code"), [("binary", 1003), ("bad_utf8", 1007)])
def test_what_is_no_text_closes_at_once_and_for_good(kind: str, code: int) -> None:
    async def then(arena: Arena, ann: Person, bob: Person) -> None:
        await arena.until(lambda: bob.devices[0].number not in arena.crowd.peers)
        assert bob.devices[0].client.state == "idle"
        exposition = (await arena.admin.scrape()).decode()
        assert re.search(rf'^chatsim_disconnects_total\{{code="{code}"\}} 1\b', exposition, re.MULTILINE)

    strike({"do": "bad_frames", "kind": kind, "rate": "100/s", "for": "1s"}, then)


def test_withheld_acks_come_after_the_fault() -> None:
    async def then(arena: Arena, ann: Person, bob: Person) -> None:
        client = bob.devices[0].client
        assert not client.acks
        await arena.until(lambda: client.acks)

    strike({"do": "withhold_acks", "for": "50ms"}, then)


def test_acks_withheld_twice_come_when_the_last_has_ended() -> None:
    async def test(arena: Arena) -> None:
        ann = arena.add("ann")
        await arena.joined(ann)
        mischief = made_for(arena, ann, arena.revoke)
        now = arena.calendar.now()
        words = {"do": "withhold_acks"}
        mischief.schedule(
            events(words | {"at": f"{now}s", "for": "60ms"}, words | {"at": f"{now + 0.03}s", "for": "90ms"})
        )
        await arena.until(lambda: len(mischief.fired) == 2)
        assert not ann.devices[0].client.acks
        await arena.until(lambda: ann.devices[0].client.acks)
        assert arena.calendar.now() >= now + 0.12

    play(test)


def test_an_expired_token_is_renewed_by_its_owner() -> None:
    async def then(arena: Arena, ann: Person, bob: Person) -> None:
        end_at = arena.calendar.now() + 0.4
        await arena.until(lambda: arena.calendar.now() > end_at)
        arena.say(bob)
        await arena.until(lambda: arena.received() == 1)

    _, crowd = strike({"do": "expire_tokens"}, then)
    assert crowd.people.outages == []


@pytest.mark.parametrize("token", ["expired", "good"])
def test_a_token_that_changes_little_is_handed_in(token: str) -> None:
    async def then(arena: Arena, ann: Person, bob: Person) -> None:
        arena.say(bob)
        await arena.until(lambda: arena.received() == 1)

    _, crowd = strike({"do": "refresh_token", "token": token}, then)
    assert crowd.people.outages == []


@pytest.mark.parametrize("token", ["forged", "foreign"])
def test_a_token_that_is_no_good_ends_the_connection_that_hands_it_in(token: str) -> None:
    async def then(arena: Arena, ann: Person, bob: Person) -> None:
        await arena.until(lambda: bob.devices[0].client.state == "idle")
        assert ann.devices[0].joined

    strike({"do": "refresh_token", "token": token}, then)


def test_revoked_tokens_close_for_good_and_touch_nobody_else() -> None:
    async def then(arena: Arena, ann: Person, bob: Person) -> None:
        struck_at = arena.calendar.now()
        await arena.until(lambda: not any(device.number in arena.crowd.peers for device in bob.devices))
        assert arena.calendar.now() - struck_at < 1.0
        assert [device.client.state for device in bob.devices] == ["idle", "idle"]
        assert ann.devices[0].joined

    mischief, crowd = strike({"do": "revoke"}, then, devices=2)
    assert not mischief.busy()
    assert crowd.people.outages == []


def test_a_token_that_is_renewed_while_it_is_revoked_is_revoked_too() -> None:
    async def test(arena: Arena) -> None:
        ann = arena.add("ann")
        await arena.joined(ann)
        (device,) = ann.devices
        arena.crowd.refresh(arena.calendar.now(), device)
        await arena.revoke([device])
        await arena.until(lambda: device.number not in arena.crowd.peers)
        assert device.client.state == "idle"

    play(test)


def test_an_order_that_the_server_does_not_take_ends_the_run() -> None:
    async def test(arena: Arena) -> None:
        asked = asyncio.Event()

        async def refused(devices: Sequence[Device]) -> None:
            asked.set()
            raise HarnessError("503")

        ann = arena.add("ann")
        await arena.joined(ann)
        mischief = made_for(arena, ann, refused)
        mischief.schedule(events({"at": "0s", "do": "revoke"}))
        await asked.wait()
        assert isinstance(arena.calendar.failure, HarnessError)

    play(test)


def test_an_order_under_way_is_given_up_at_the_end() -> None:
    async def never(devices: Sequence[Device]) -> None:
        await asyncio.get_running_loop().create_future()

    async def test(arena: Arena) -> None:
        ann = arena.add("ann")
        await arena.joined(ann)
        mischief = made_for(arena, ann, never)
        mischief.schedule(events({"at": "0s", "do": "revoke"}))
        await arena.until(mischief.busy)
        await mischief.end()
        assert not mischief.busy()
        assert arena.calendar.failure is None

    play(test)


def test_dropping_and_freezing_reach_the_connection() -> None:
    async def dropped(arena: Arena, ann: Person, bob: Person) -> None:
        await arena.joined(bob)
        await arena.until(lambda: len(arena.crowd.people.outages) == 1)

    async def frozen(arena: Arena, ann: Person, bob: Person) -> None:
        assert [gone.vanished for gone in arena.crowd.gone] == [False]

    async def vanished(arena: Arena, ann: Person, bob: Person) -> None:
        assert [gone.vanished for gone in arena.crowd.gone] == [True]
        assert not bob.devices[0].wanted

    strike({"do": "drop"}, dropped)
    strike({"do": "freeze", "for": "1s"}, frozen)
    strike({"do": "vanish"}, vanished)


def test_the_clock_jumps_where_somebody_can_set_it() -> None:
    set_by: list[float] = []

    async def test(arena: Arena) -> None:
        ann = arena.add("ann")
        await arena.joined(ann)
        made = made_for(arena, ann, arena.revoke, clock_jump=set_by.append)
        made.schedule(events({"at": 0, "do": "clock_jump", "by": "-90s"}))
        await arena.until(lambda: made.fired)
        assert (made.fired[0].do, made.fired[0].users) == ("clock_jump", ())

    play(test)
    assert set_by == [-90.0]


@pytest.mark.parametrize(
    "words",
    [
        {"do": "clock_jump", "by": "1s"},
        {"do": "flood", "rate": "1000000/s", "for": "10s"},
        {"do": "end_session", "for": "1s", "ttl": "10s"},
    ],
)
def test_what_cannot_be_done_here_is_refused_in_one_sentence(words: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"events\[0\]: "):
        check_events(events({"at": "1s"} | words))


def test_all_that_cannot_be_done_here_is_said_at_once() -> None:
    jump, flood = {"at": "1s", "do": "clock_jump", "by": "1s"}, {"at": "2s", "do": "flood", "rate": "9/s", "for": "1s"}
    with pytest.raises(UsageError, match=r"events\[0\]: .*\nevents\[2\]: "):
        check_events(events(jump, flood, jump))
