"""What the routes share: names out of encoded paths, bodies within bounds, and a constant answer to who asks."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from starlette.requests import Request

from chatsim.core.frames import NESTING_MAX
from chatsim.live.answers import BODY_BYTES_MAX, Bouncer, DeniedError, EncodedPaths, name_in, number_in, read
from tests.live.test_driver import World
from tests.live.test_gate import TOKEN, gate

KEY = b"the admin key"


def asked(body: bytes = b"", *, query: str = "", authorization: bytes = b"", **path: str) -> Request:
    """A request whose body comes in two pieces."""
    pieces = [body[: len(body) // 2], body[len(body) // 2 :]]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    headers = [(b"authorization", authorization)] if authorization else []
    scope = {"type": "http", "query_string": query.encode(), "headers": headers, "path_params": path}
    return Request(scope, receive)


def status_of(act: Any, *args: Any) -> tuple[int, str]:
    with pytest.raises(DeniedError) as caught:
        act(*args)
    return caught.value.response.status_code, msgspec.json.decode(caught.value.response.body)["error"]


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("s", "s"),
        ("a%2Fb", "a/b"),
        ("..%2F..%2Fetc", "../../etc"),
        ("%00%0a", "\x00\n"),
        ("%C3%A9", "é"),
        ("a+b", "a+b"),
        ("'%3B%20DROP%20TABLE%20x--", "'; DROP TABLE x--"),
        ("x" * 128, "x" * 128),
        ("%C3%A9" * 128, "é" * 128),
    ],
)
def test_any_characters_are_a_name(sent: str, name: str) -> None:
    assert name_in(asked(session=sent), "session") == name


@pytest.mark.parametrize("sent", ["%FF", "x" * 129, "%C3%A9" * 129, ""])
def test_what_is_no_name_is_refused(sent: str) -> None:
    assert status_of(name_in, asked(session=sent), "session") == (400, "bad_request")


def test_numbers_of_the_query() -> None:
    assert number_in(asked(), "after", 7, 0) == 7
    assert number_in(asked(query="after=12"), "after", 0, 0) == 12
    for wrong in ("-1", "x", "1.5", "", "%D9%A3", "9" * 5000):
        assert status_of(number_in, asked(query="after=" + wrong), "after", 0, 0) == (400, "bad_request")
    assert status_of(number_in, asked(query="limit=0"), "limit", 1, 1) == (400, "bad_request")


def test_bodies_are_read_within_bounds() -> None:
    decoder = msgspec.json.Decoder(list[int])
    assert asyncio.run(read(asked(b"[1, 2]"), decoder)) == [1, 2]
    for body, status in [
        (b"", 400), (b"[", 400), (b'["\xff"]', 400), (b'["x"]', 400), (b"[" * 5000, 400),
        (b" " * (BODY_BYTES_MAX + 1), 413),
    ]:  # fmt: skip
        with pytest.raises(DeniedError) as caught:
            asyncio.run(read(asked(body), decoder))
        assert caught.value.response.status_code == status
    deep = b"[" * (NESTING_MAX + 1) + b"]" * (NESTING_MAX + 1)
    with pytest.raises(DeniedError):
        asyncio.run(read(asked(deep), msgspec.json.Decoder(msgspec.Raw)))
    assert asyncio.run(read(asked(deep[1:-1]), msgspec.json.Decoder(msgspec.Raw)))


def test_who_asks_is_told_apart() -> None:
    bouncer = Bouncer(gate(World()), KEY)
    user, admin = asked(authorization=b"Bearer " + TOKEN.encode()), asked(authorization=b"bearer  " + KEY)
    nobody, other = asked(), asked(authorization=b"Bearer \xff")
    assert bouncer.user(user).sub == "ann"
    assert bouncer.user(asked(query="token=" + TOKEN)).sub == "ann"
    bouncer.admin(admin)
    found = bouncer.either(user)
    assert found is not None
    assert found.sub == "ann"
    assert bouncer.either(admin) is None
    for act in (bouncer.admin, bouncer.user, bouncer.either):
        assert status_of(act, nobody) == (401, "token_missing")
        assert status_of(act, other) == (401, "token_invalid")
    assert status_of(bouncer.admin, user) == status_of(bouncer.user, admin) == (401, "token_invalid")
    assert status_of(Bouncer(gate(World()), None).either, admin) == (401, "token_invalid")


def test_paths_are_matched_as_they_were_sent() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope.get("path"))

    async def work() -> None:
        wrapped: Any = EncodedPaths(app)
        await wrapped({"type": "http", "path": "/a/b", "raw_path": b"/a%2Fb"}, None, None)
        await wrapped({"type": "http", "path": "/a/b"}, None, None)
        await wrapped({"type": "lifespan"}, None, None)

    asyncio.run(work())
    assert seen == ["/a%2Fb", "/a/b", None]
