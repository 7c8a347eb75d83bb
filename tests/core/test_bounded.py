"""The law Bounded under those who mean it ill: what one person repeats for an hour fills nothing beyond the settings.

Each attack is what somebody can do who keeps to the limits of frames and messages. Everything that can be reached from
the handler is counted afterwards, and while it goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import msgspec
import pytest
from msgspec import Raw

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import Append
from chatsim.core.frames import AckIn, HeartbeatIn, Message, PresenceIn, Say
from chatsim.core.tokens import Claims
from tests.core.census import Crowd, census
from tests.core.world import EPOCH, World, sends

CONFIG = HandlerConfig(
    rate_limit=20,
    violation_limit=3,
    retention_messages=8,
    connections_per_user=2,
    sessions_per_connection=3,
    participants_max=4,
    sessions_max=6,
    revocations_max=4,
)
Attack: TypeAlias = Callable[[World, int], None]
"""One round of it; the number counts from 0."""

USERS = 4
ROUNDS = 600
EVERY_S = 3.0
"""Each attack goes on for half an hour, one round every three seconds: 20 frames a minute for each frame of a round."""


def _claims(world: World, user: str, jti: str | None = None) -> Claims:
    return Claims(user, exp=world.handler.wall(world.now) + 1e6, iat=EPOCH, jti=jti, sessions=("s", "t", "u"))


def _refreshes(world: World, number: int) -> None:
    world.do("refresh", "ann", _claims(world, "ann", f"j{number}"))
    world.do("refuse_refresh", "bob", "token_expired")


def _comes_back(world: World, number: int) -> None:
    if number:
        world.gone(f"ann{number}")
    world.do("connect", f"ann{number + 1}", _claims(world, "ann"))
    world.join(f"ann{number + 1}", last_seq=0)


def _replaces_herself(world: World, number: int) -> None:
    world.do("connect", f"ann{number + 1}", _claims(world, "ann"))
    world.join(f"ann{number + 1}", replaces=f"ann{number}")


def _leaves_and_joins(world: World, number: int) -> None:
    for conn in ("ann", "bob"):
        for _ in range(14):
            world.leave(conn)
            world.join(conn)


def _types_on_and_off(world: World, number: int) -> None:
    people = [(conn, session) for conn in ("ann", "bob", "cid") for session in ("s", "t", "u")]
    for conn, session in people:
        world.join(conn, session)
        world.typing(conn, session=session)
    world.pass_s(0.1)
    for conn, session in people:
        world.typing(conn, active=False, session=session)
        world.typing(conn, session=session)


def _types_and_leaves(world: World, number: int) -> None:
    world.join("ann")
    world.typing("ann")
    world.leave("ann")


def _resumes_and_never_acks(world: World, number: int) -> None:
    if number == 0:
        world.do("connect", "bob2", _claims(world, "bob"))
    world.say("ann", f"{number}")
    for _ in range(25):
        for conn in ("bob", "bob2"):
            world.join(conn, last_seq=max(0, number - 7))


def _talks(world: World, number: int) -> None:
    for conn in ("ann", "bob", "cid"):
        world.say(conn, f"{number}", body=b'"' + b"x" * 500 + b'"')


def _talks_and_acks_some(world: World, number: int) -> None:
    for effect in world.say("ann", f"{number}"):
        for _, message in sends([effect], Message):
            if number % 3:
                world.receive("bob", AckIn(message_id=message.message_id))


def _writes_to_herself(world: World, number: int) -> None:
    world.say("ann", f"{number}", "@ann")
    world.do("post", "bob", f"p{number}", Raw(b"1"))
    world.ack("bob", number + 1, "@bob")


def _meets_a_log_that_fails(world: World, number: int) -> None:
    for id_ in ("same", f"{number}"):
        for effect in world.handler.receive(world.now, "ann", _say(id_)):
            if isinstance(effect, Append):
                # Somebody asks again while it is under way.
                world.handler.receive(world.now, "ann", _say(id_))
                world.do("append_failed", effect.record)


def _say(id_: str) -> Say:
    return Say(id_, "s", Raw(b'"x"'))


def _opens_and_ends(world: World, number: int) -> None:
    name = f"made{number}"
    world.do("open_session", name, ("ann", "bob"), 1000.0)
    world.do("add_participant", name, "dan")
    world.do("connect", f"dan{number}", Claims("dan", exp=EPOCH + 1e6))
    world.join(f"dan{number}", name)
    world.do("end_session", name)
    world.gone(f"dan{number}")


def _names_sessions(world: World, number: int) -> None:
    name = f"named{number}"
    world.do("connect", f"dan{number}", Claims("dan", exp=EPOCH + 1e6, sessions=(name,)))
    world.join(f"dan{number}", name)
    world.say(f"dan{number}", "1", name)
    world.gone(f"dan{number}")


def _removes_and_adds(world: World, number: int) -> None:
    world.say("bob", f"{number}")
    world.do("remove_participant", "s", "ann")
    world.do("add_participant", "s", "ann")
    world.join("ann")


def _revokes(world: World, number: int) -> None:
    world.do("connect", f"dan{number}", _claims(world, "dan", f"j{number}"))
    world.do("revoke", f"j{number}", None)
    world.do("revoke", None, "dan")


def _breaks_frames(world: World, number: int) -> None:
    if number % 10 == 0:
        world.do("malformed", "ann", "bad_json", "no JSON")
    world.do("malformed", f"nobody{number}", "bad_json", "no JSON")
    world.receive("ann", HeartbeatIn(number))
    world.receive("ann", PresenceIn("away" if number % 2 else "online"))


def _lags(world: World, number: int) -> None:
    world.do("pressure", "ann", 2**19 + 1 if number % 2 else 0)
    world.typing("bob")


def _sets_the_clock(world: World, number: int) -> None:
    world.do("clock_jump", 60.0 if number % 2 else -60.0)


ATTACKS: tuple[Attack, ...] = (
    _refreshes,
    _comes_back,
    _replaces_herself,
    _leaves_and_joins,
    _types_on_and_off,
    _types_and_leaves,
    _resumes_and_never_acks,
    _talks,
    _talks_and_acks_some,
    _writes_to_herself,
    _meets_a_log_that_fails,
    _opens_and_ends,
    _names_sessions,
    _removes_and_adds,
    _revokes,
    _breaks_frames,
    _lags,
    _sets_the_clock,
)


def outgrown(attack: Attack, config: HandlerConfig) -> Iterator[tuple[str, str]]:
    """What was larger than its bound at some time of the attack."""
    world = World(config)
    for conn in ("ann", "bob", "cid"):
        world.do("connect", conn, _claims(world, conn))
        world.join(conn)
    world.join("ann", "t")
    crowd = Crowd(config, USERS)
    for number in range(ROUNDS):
        attack(world, number)
        world.done.clear()
        world.pass_s(EVERY_S)
        if number % 20 == 19:
            posts = number + 1 if attack is _writes_to_herself else 0
            yield from census(world.handler).too_large(crowd._replace(posts=posts)).items()


@pytest.mark.parametrize("reliability", ["hardened", "baseline"])
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__.strip("_"))
def test_no_attack_fills_more_than_the_settings_say(attack: Attack, reliability: str) -> None:
    config = msgspec.structs.replace(CONFIG, reliability=reliability)
    assert dict(outgrown(attack, config)) == {}
