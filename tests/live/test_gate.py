"""Invariant: nobody comes in without a good token, an allowed origin and room; everyone else hears why."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.datastructures import Headers
from websockets.http11 import Request

from chatsim.core.admission import RETRY_AFTER_S_MAX
from chatsim.core.config import HandlerConfig
from chatsim.core.handler import ChatHandler
from chatsim.core.tokens import Claims, Keys, Refusal, issue
from chatsim.live.gate import Denial, Gate, denial_bytes
from tests.live.test_driver import EPOCH, World

SECRET = b"a secret of thirty-two bytes or more"
TOKEN = issue(SECRET, "HS256", sub="ann", exp=EPOCH + 60, wall=EPOCH, jti="t")


def gate(world: World, **settings: Any) -> Gate:
    return Gate(world.driver, Keys((SECRET,)), HandlerConfig(**settings))


def asked(query: str = "token=" + TOKEN, **headers: str) -> Request:
    """A handshake to `chat.example`."""
    return Request(f"/ws?{query}", Headers({"Host": "chat.example"} | headers))


def code(found: Claims | Denial) -> str:
    return found.code if isinstance(found, Denial) else "in"


@pytest.mark.parametrize(
    ("origins", "origin", "good"),
    [
        ((), "http://chat.example", True),
        ((), "https://chat.example:443", True),
        ((), "https://CHAT.example", True),
        ((), "http://chat.example:8080", False),
        ((), "https://evil.example", False),
        ((), "https://chat.example.evil.example", False),
        ((), "https://chat.example@evil.example", False),
        ((), "null", False),
        ((), "", False),
        ((), "http://[", False),
        ((), "http://chat.example:x", False),
        (("https://app.example",), "https://app.example", True),
        (("https://app.example",), "https://evil.example", False),
        (("*",), "https://evil.example", True),
    ],
)
def test_origins_of_browsers(origins: tuple[str, ...], origin: str, good: bool) -> None:
    found = gate(World(), origins=origins).enter(asked(Origin=origin))
    assert code(found) == ("in" if good else "origin_forbidden")


@pytest.mark.parametrize("said", ["", "Bearer", "Bearer ", "bearer  ", "Basic YW5uOng=", "Token", "Bearer\t"])
def test_a_header_without_a_token_leaves_it_to_the_next_place(said: str) -> None:
    assert code(gate(World()).enter(asked(Authorization=said))) == "in"
    offered = {"Authorization": said, "Sec-WebSocket-Protocol": f"chatsim.v1, bearer., bearer.{TOKEN}"}
    assert code(gate(World()).enter(asked("token=", **offered))) == "in"


def test_the_first_token_that_is_found_counts() -> None:
    assert code(gate(World()).enter(asked(Authorization="Bearer junk"))) == "token_invalid"
    assert code(gate(World()).enter(asked("token=junk", Authorization=f"Bearer {TOKEN}"))) == "in"


def test_a_token_ends_by_the_drivers_clock() -> None:
    world = World()
    door = gate(world)
    assert isinstance(door.verify(TOKEN), Claims)
    world.loop.at += 60
    assert door.verify(TOKEN) == door.verify(TOKEN)
    assert code(door.enter(asked())) == "token_expired"


def test_a_revoked_token_is_refused_by_the_handlers_word() -> None:
    world = World(ChatHandler(HandlerConfig(), epoch=EPOCH, seed=1))
    door = gate(world)
    assert code(door.enter(asked())) == "in"
    assert world.driver.revoke(jti="t")
    assert isinstance(door.verify(TOKEN), Refusal)
    assert code(door.enter(asked())) == "token_revoked"
    later = issue(SECRET, "HS256", sub="ann", exp=EPOCH + 60, wall=EPOCH + 0.5, jti="u")
    assert code(door.enter(asked("token=" + later))) == "in"
    world.loop.at += 1
    assert world.driver.revoke(user="ann")
    assert code(door.enter(asked("token=" + later))) == "token_revoked"


def test_draining_takes_nobody_in() -> None:
    world = World()
    door = gate(world)
    world.driver.drain()
    found = door.enter(asked())
    assert isinstance(found, Denial)
    assert (found.status, found.code) == (503, "draining")
    assert 1 <= found.retry_after_s <= RETRY_AFTER_S_MAX


def test_a_rush_is_slowed_and_those_who_resume_have_their_own_way() -> None:
    world = World()
    door = gate(world, accept_rate_per_s=2.0, resume_rate_per_s=0.5)
    world.join()
    back = "resume=c1&token=" + TOKEN
    assert [code(door.enter(asked())) for _ in range(3)] == ["in", "in", "overloaded"]
    assert [code(door.enter(asked(back))) for _ in range(2)] == ["in", "overloaded"]
    assert code(door.enter(asked("resume=c9&token=" + TOKEN))) == "overloaded"
    world.loop.at += 0.5
    assert [code(door.enter(asked())), code(door.enter(asked(back)))] == ["in", "overloaded"]


def test_refusals_are_counted_by_their_code() -> None:
    door = gate(World())
    for query in ("token=junk", "", "token=junk", "token=" + TOKEN):
        door.enter(asked(query))
    assert door.refused == {"token_invalid": 2, "token_missing": 1}


def test_who_has_no_token_takes_no_room_from_others() -> None:
    door = gate(World(), accept_rate_per_s=1.0)
    assert [code(door.enter(asked("token=junk"))) for _ in range(5)] == ["token_invalid"] * 5
    assert code(door.enter(asked())) == "in"


# What the parser of headers lets through: ISO-8859-1 without control characters.
_header = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]))


@given(query=st.text(st.characters(codec="ascii"), max_size=40), header=_header)
def test_any_request_is_judged(query: str, header: str) -> None:
    door = gate(World())
    found = door.enter(asked(query, Origin=header, Authorization=header))
    assert isinstance(found, Denial)
    head, _, body = denial_bytes(found).partition(b"\r\n\r\n")
    assert json.loads(body) == {"error": found.code, "message": found.message}
    assert f"Content-Length: {len(body)}".encode() in head
