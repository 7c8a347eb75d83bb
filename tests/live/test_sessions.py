"""The session service over HTTP: who may do what, what comes of it on the sockets, and what is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from chatsim.core.config import HandlerConfig
from chatsim.core.effects import Record
from chatsim.core.frames import NESTING_MAX
from chatsim.journal.replay import replay
from chatsim.journal.steps import read
from chatsim.live import sqlite_log
from chatsim.live.routes import PAGE_BYTES_MAX
from tests.live.running import ADMIN, Running, on_loop, running, token
from tests.live.test_http import KEY, Patient, is_error
from tests.live.test_sqlite_log import taken


def bearer(user: str, **claims: Any) -> dict[str, str]:
    """The header of a user whose token names no sessions, unless it is told to."""
    return {"Authorization": "Bearer " + token(user, **({"sessions": None} | claims))}


async def ask(server: Running, who: str, method: str, path: str, body: Any = None, **claims: Any) -> httpx.Response:
    headers = KEY if who == "admin" else bearer(who, **claims)
    return await server.request(method, path, headers=headers, **({} if body is None else {"json": body}))


async def opened(server: Running, who: str = "ann", *others: str, **order: Any) -> str:
    answer = await ask(server, who, "POST", "/api/sessions", {"participants": list(others)} | order)
    assert answer.status_code == 201
    return str(answer.json()["session"])


def test_a_session_from_its_opening_to_its_end(tmp_path: Path) -> None:
    async def work() -> None:
        async with (
            running(journal=tmp_path / "journal.jsonl") as server,
            server.peer("ann", sessions=None) as ann,
            server.peer("bob", sessions=None) as bob,
        ):
            name = await opened(server, "ann", "bob")
            path = f"/api/sessions/{name}"
            view = (await ask(server, "bob", "GET", path)).json()
            epoch = view.pop("epoch")
            assert view == {"session": name, "participants": ["ann", "bob"], "expires_at": None, "seq": 0}
            await ann.join(name)
            await bob.join(name)
            await ann.send(type="message", id="1", session=name, body={"a": [1]})
            assert (await bob.read_type("message"))["body"] == {"a": [1]}
            assert (await ask(server, "bob", "DELETE", path + "/participants/bob")).status_code == 204
            assert await bob.read_type("status") == {
                "type": "status", "status": "left", "session": name, "reason": "removed",
            }  # fmt: skip
            assert is_error(await ask(server, "bob", "GET", path), 403, "not_a_participant")
            assert (await ask(server, "ann", "POST", path + "/participants", {"user": "cid"})).status_code == 204
            said = (await ask(server, "cid", "GET", path + "/messages")).json()
            assert (said["epoch"], said["seq"]) == (epoch, 1)
            [message] = said["messages"]
            assert (message["from"], message["body"], message["seq"]) == ("ann", {"a": [1]}, 1)
            assert (await ask(server, "cid", "DELETE", path)).status_code == 204
            while (left := await ann.read_type("status"))["status"] != "left":
                pass
            assert (left["session"], left["reason"]) == (name, "ended")
            for method, tail in [("GET", ""), ("DELETE", ""), ("GET", "/messages"), ("DELETE", "/participants/ann")]:
                assert is_error(await ask(server, "ann", method, path + tail), 404, "no_such_session")

    on_loop(work)
    doors = {step.door for step in read(tmp_path / "journal.jsonl")}
    assert {"open_session", "add_participant", "remove_participant", "end_session"} <= doors
    assert replay(tmp_path / "journal.jsonl") is None


def test_a_session_ends_by_itself() -> None:
    async def work() -> None:
        async with running() as server, server.peer("ann", sessions=None) as ann:
            name = await opened(server, "ann", ttl_s=0.2)
            await ann.join(name)
            assert (await ann.read_type("status"))["reason"] == "ended"
            assert is_error(await ask(server, "ann", "GET", f"/api/sessions/{name}"), 404, "no_such_session")

    on_loop(work)


def test_the_administrator_may_change_sessions_and_not_read_them() -> None:
    async def work() -> None:
        async with running() as server:
            name = await opened(server, "admin", "ann")
            path = f"/api/sessions/{name}"
            assert is_error(await ask(server, "admin", "POST", "/api/sessions", {}), 400, "bad_request")
            assert (await ask(server, "admin", "POST", path + "/participants", {"user": "bob"})).status_code == 204
            assert is_error(await ask(server, "admin", "GET", path), 401, "token_invalid")
            assert is_error(await ask(server, "admin", "GET", path + "/messages"), 401, "token_invalid")
            assert (await ask(server, "admin", "DELETE", path + "/participants/ann")).status_code == 204
            assert (await ask(server, "bob", "GET", path)).json()["participants"] == ["bob"]
            assert (await ask(server, "admin", "DELETE", path)).status_code == 204

    on_loop(work)


def test_strangers_and_other_tokens_change_nothing() -> None:
    async def work() -> None:
        async with running() as server:
            name = await opened(server, "ann", "bob")
            path = f"/api/sessions/{name}"
            routes = [
                ("GET", path, None), ("DELETE", path, None), ("GET", path + "/messages", None),
                ("POST", path + "/participants", {"user": "eve"}), ("DELETE", path + "/participants/ann", None),
            ]  # fmt: skip
            for method, route, body in routes:
                assert is_error(await ask(server, "eve", method, route, body), 403, "not_a_participant")
                assert is_error(
                    await ask(server, "ann", method, route, body, sessions=("x",)), 403, "not_a_participant"
                )
                assert is_error(await ask(server, "ann", method, route, body, life_s=-5.0), 401, "token_expired")
                assert is_error(await server.request(method, route), 401, "token_missing")
            await ask(server, "admin", "DELETE", "/api/tokens/stolen")
            assert is_error(await ask(server, "ann", "GET", path, jti="stolen"), 401, "token_revoked")
            answer = await server.request("GET", f"{path}?token=" + token("bob", sessions=(name,)))
            assert answer.json()["participants"] == ["ann", "bob"]

    on_loop(work)


@pytest.mark.parametrize(
    "order",
    [[], {"participants": "ann"}, {"participants": [""]}, {"participants": ["x" * 129]}, {"participants": [1]},
     {"ttl_s": 0}, {"ttl_s": -1}, {"ttl_s": "1h"}, {"ttl_s": 1e12}],
)  # fmt: skip
def test_orders_for_no_session_are_refused(order: Any) -> None:
    async def work() -> None:
        async with running() as server:
            assert is_error(await ask(server, "ann", "POST", "/api/sessions", order), 400, "bad_request")

    on_loop(work)


def test_limits_are_refusals() -> None:
    async def work() -> None:
        async with running(config=HandlerConfig(participants_max=2, sessions_max=1)) as server:
            too_many = {"participants": ["bob", "cid"]}
            assert is_error(await ask(server, "ann", "POST", "/api/sessions", too_many), 409, "session_full")
            path = f"/api/sessions/{await opened(server, 'ann', 'bob')}/participants"
            assert is_error(await ask(server, "ann", "POST", path, {"user": "cid"}), 409, "session_full")
            assert (await ask(server, "ann", "POST", path, {"user": "bob"})).status_code == 204
            assert is_error(await ask(server, "ann", "POST", "/api/sessions", {}), 503, "unavailable")
            post = await ask(server, "admin", "POST", "/api/users/ann/messages", {"body": 1})
            assert is_error(post, 503, "unavailable")
            body = "x" * 70_000
            assert is_error(await ask(server, "ann", "POST", "/api/sessions", body), 413, "too_large")

    on_loop(work)


def test_one_user_opens_a_limited_number_of_sessions(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"config": HandlerConfig(sessions_per_user=2), "data": tmp_path / "data"}

    async def work() -> None:
        async with running(**settings) as server:
            name = await opened(server, "ann", "bob")
            await opened(server, "ann")
            assert is_error(await ask(server, "ann", "POST", "/api/sessions", {}), 429, "too_many_sessions")
            await opened(server, "bob", "ann")
            await opened(server, "admin", "ann")
        async with running(**settings) as server:
            assert is_error(await ask(server, "ann", "POST", "/api/sessions", {}), 429, "too_many_sessions")
            assert (await ask(server, "bob", "DELETE", f"/api/sessions/{name}")).status_code == 204
            await opened(server, "ann")

    on_loop(work)


def test_orders_are_answered_when_the_log_has_them() -> None:
    async def work() -> None:
        log = Patient()
        async with running(log=log) as server:

            async def ordered(method: str, path: str, body: Any = None, *, stored: bool = True) -> httpx.Response:
                asking = asyncio.ensure_future(ask(server, "ann", method, path, body))
                answered = await log.asked.get()
                # Another request is answered while this one waits.
                assert (await server.request("GET", "/health/live")).status_code == 200
                assert not asking.done()
                answered(stored)
                return await asking

            name = (await ordered("POST", "/api/sessions", {})).json()["session"]
            path = f"/api/sessions/{name}"
            for stored in (False, True):
                for answer in (
                    await ordered("POST", path + "/participants", {"user": "bob"}, stored=stored),
                    await ordered("DELETE", path + "/participants/bob", stored=stored),
                ):
                    assert answer.status_code == 204 if stored else is_error(answer, 503, "unavailable")
            assert is_error(await ordered("DELETE", path, stored=False), 503, "unavailable")
            assert is_error(await ask(server, "ann", "GET", path), 404, "no_such_session")

    on_loop(work)


def test_what_cannot_be_stored_is_done_and_stored_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_log, "BUSY_S", 0.05)

    async def work() -> None:
        async with running(data=tmp_path) as server:
            name = await opened(server, "ann", "bob")
            over = await opened(server, "ann")
            path = f"/api/sessions/{name}"
            with taken(tmp_path):
                for method, where, body in [
                    ("POST", path + "/participants", {"user": "cid"}), ("DELETE", path + "/participants/bob", None),
                    ("DELETE", f"/api/sessions/{over}", None),
                ]:  # fmt: skip
                    assert is_error(await ask(server, "ann", method, where, body), 503, "unavailable")
                    # Said again it has been done, and is stored no more than before.
                    assert is_error(await ask(server, "ann", method, where, body), 503, "unavailable")
                assert (await ask(server, "ann", "GET", path)).json()["participants"] == ["ann", "cid"]
                assert is_error(await ask(server, "cid", "DELETE", path + "/participants/cid"), 503, "unavailable")
                assert is_error(await ask(server, "cid", "DELETE", path + "/participants/cid"), 503, "unavailable")
                await ask(server, "ann", "POST", path + "/participants", {"user": "cid"})
            assert is_error(await ask(server, "ann", "DELETE", f"/api/sessions/{over}"), 404, "no_such_session")
        async with running(data=tmp_path) as server:
            assert (await ask(server, "ann", "GET", path)).json()["participants"] == ["ann", "cid"]
            assert is_error(await ask(server, "ann", "GET", f"/api/sessions/{over}"), 404, "no_such_session")

    on_loop(work)


def test_a_session_that_cannot_be_stored_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_log, "BUSY_S", 0.05)
    settings: dict[str, Any] = {"config": HandlerConfig(sessions_per_user=1), "data": tmp_path}

    async def work() -> None:
        async with running(**settings) as server:
            with taken(tmp_path):
                for _ in range(2):
                    assert is_error(await ask(server, "ann", "POST", "/api/sessions", {}), 503, "unavailable")
        async with running(**settings) as server:
            await opened(server, "ann")

    on_loop(work)


def test_history_comes_in_pages() -> None:
    async def work() -> None:
        async with (
            running(config=HandlerConfig(history_messages=5)) as server,
            server.peer("ann", sessions=None) as ann,
        ):
            name = await opened(server)
            await ann.join(name)
            for number in range(7):
                await ann.send(type="message", id=str(number), session=name, body=number)
                await ann.read_type("ack")
            path = f"/api/sessions/{name}/messages"
            for query, seqs in [
                ("", [3, 4, 5, 6, 7]), ("?after=4&limit=2", [5, 6]), ("?after=7", []), ("?limit=9999", [3, 4, 5, 6, 7]),
            ]:  # fmt: skip
                answer = (await ask(server, "ann", "GET", path + query)).json()
                assert [message["seq"] for message in answer["messages"]] == seqs
                assert answer["seq"] == 7
            for query in ("?after=-1", "?after=x", "?limit=0", "?limit=1.5"):
                assert is_error(await ask(server, "ann", "GET", path + query), 400, "bad_request")

    on_loop(work)


def test_a_page_of_history_has_a_limited_size() -> None:
    size = PAGE_BYTES_MAX // 3

    async def work() -> None:
        config = HandlerConfig(message_bytes_max=2 * PAGE_BYTES_MAX)
        async with running(config=config) as server:
            for length in [size - 2] * 4 + [PAGE_BYTES_MAX + 1, 1] + [1] * 50:
                post = await ask(server, "admin", "POST", "/api/users/ann/messages", {"body": "x" * length})
                assert post.status_code == 202
            for after, seqs in [(0, [1, 2, 3]), (3, [4]), (4, [5]), (5, [*range(6, 57)])]:
                answer = await ask(server, "ann", "GET", f"/api/sessions/@ann/messages?after={after}&limit=500")
                assert [message["seq"] for message in answer.json()["messages"]] == seqs

    on_loop(work)


def test_a_users_own_session_is_read_and_never_changed() -> None:
    async def work() -> None:
        async with running() as server, server.peer("ann") as ann:
            posted = await ask(server, "admin", "POST", "/api/users/ann/messages", {"body": {"hello": "ann"}})
            assert posted.status_code == 202
            message = await ann.read_type("message")
            assert posted.json() == {"message_id": message["message_id"], "seq": 1}
            assert (message["from"], message["session"], message["body"]) == ("@server", "@ann", {"hello": "ann"})
            said = (await ask(server, "ann", "GET", "/api/sessions/@ann/messages")).json()["messages"]
            assert [one["message_id"] for one in said] == [message["message_id"]]
            assert is_error(await ask(server, "bob", "GET", "/api/sessions/@ann"), 403, "not_a_participant")
            assert (await ask(server, "bob", "GET", "/api/sessions/@bob")).json()["participants"] == ["bob"]
            for who in ("ann", "admin"):
                assert is_error(await ask(server, who, "DELETE", "/api/sessions/@ann"), 400, "bad_request")
            more = await ask(server, "ann", "POST", "/api/sessions/@ann/participants", {"user": "bob"})
            assert is_error(more, 400, "bad_request")

    on_loop(work)


def test_posts_that_are_no_message_are_refused() -> None:
    async def work() -> None:
        async with running(config=HandlerConfig(message_bytes_max=100)) as server:
            path = "/api/users/ann/messages"
            assert is_error(await ask(server, "ann", "POST", path, {"body": 1}), 401, "token_invalid")
            assert is_error(await ask(server, "admin", "POST", path, {}), 400, "bad_request")
            assert is_error(await ask(server, "admin", "POST", path, {"body": "x" * 99}), 413, "too_large")
            assert is_error(await ask(server, "admin", "POST", path, {"body": "x" * 2000}), 413, "too_large")
            assert (await ask(server, "admin", "POST", path, {"body": "x" * 98})).status_code == 202
            for content in (b'{"body": "\xff"}', b'{"body": [}', b'{"body": 1'):
                answer = await server.request("POST", path, content=content, headers=KEY)
                assert is_error(answer, 400, "bad_request")
                assert ADMIN.decode() not in answer.text

    on_loop(work)


@pytest.mark.parametrize("ephemeral", [True, False])
def test_what_hardly_any_reader_can_hold_is_kept_and_read_again_as_it_was_said(tmp_path: Path, ephemeral: bool) -> None:
    bodies = ["1e999", "[-1e999]", "9" * 5000, "[" * (NESTING_MAX - 1) + "]" * (NESTING_MAX - 1)]
    journal = tmp_path / "journal.jsonl"

    async def work() -> None:
        async with (
            running(journal=journal, data=None if ephemeral else tmp_path / "data") as server,
            server.peer("ann") as ann,
            server.peer("bob") as bob,
        ):
            await ann.join()
            await bob.join()
            for number, body in enumerate(bodies):
                await ann.socket.send(f'{{"type":"message","id":"{number}","session":"room","body":{body}}}')
                await ann.read_type("ack")
                while '"message"' not in (text := str(await bob.socket.recv())):
                    pass
                assert f'"body":{body},' in text
            await ann.socket.send('{"type":"message","id":"x","session":"room","body":' + "[" * 600 + "]" * 600 + "}")
            assert (await ann.read_type("error"))["code"] == "bad_json"
            page = await ask(server, "bob", "GET", "/api/sessions/room/messages", sessions=("room",))
            assert [f'"body":{body},' in page.text for body in bodies] == [True] * len(bodies)

    on_loop(work)
    assert replay(journal) is None
    kept = [record for step in read(journal) for record in step.args if isinstance(record, Record)]
    assert {bytes(record.body).decode() for record in kept} == set(bodies)
