"""The HTTP beside the wire protocol as it can be seen from outside, route by route, in the order of the document.

Every error is held to its shape, `{"error": CODE, "message": TEXT}`, by whoever asks.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from tests.live.outside import Json, Place, against, bearer

SESSIONS = "/api/sessions"


async def opened(place: Place, *others: str, who: str = "ann", **order: float) -> str:
    """A new session of this user and others."""
    status, said = await place.ask(who, "POST", SESSIONS, {"participants": others, **order})
    assert said is not None
    assert status == 201
    return str(said["session"])


async def said_of(place: Place, who: str, path: str) -> Json:
    status, said = await place.ask(who, "GET", path)
    assert said is not None
    assert status == 200
    return said


# JSON; bearer token as above.


@against()
async def test_bearer_token_as_above_in_the_header_or_the_query(place: Place) -> None:
    path = f"{SESSIONS}/{await opened(place)}"
    assert await place.refused(None, "GET", path) == (401, "token_missing")
    status, said = await place.ask(None, "GET", f"{path}?token=" + bearer("ann", sessions=None))
    assert said is not None
    assert (status, said["participants"]) == (200, ["ann"])
    for claims, code in (
        ({"key": b"another secret of thirty-two bytes"}, "token_invalid"),
        ({"nbf": time.time() + 300}, "token_invalid"),
        ({"exp": time.time() - 1}, "token_expired"),
    ):
        assert await place.refused("ann", "GET", path, **claims) == (401, code)
    await place.revoke("of-ann")
    assert await place.refused("ann", "GET", path) == (401, "token_revoked")


@pytest.mark.parametrize(
    ("method", "path", "refusal"),
    [
        ("GET", "/nowhere", (404, "not_found")),
        ("GET", "/api/sessions/x/y/z", (404, "not_found")),
        ("PUT", "/api/sessions", (405, "method_not_allowed")),
        ("GET", "/api/users/ann/messages", (405, "method_not_allowed")),
        ("GET", "/ws", (426, "upgrade_required")),
    ],
)
def test_errors_are_error_and_message(method: str, path: str, refusal: tuple[int, str]) -> None:
    @against()
    async def rule(place: Place) -> None:
        assert await place.refused("ann", method, path) == refusal

    rule()


# Tokens.


@against()
async def test_post_tokens_201_token_expires_at_jti(place: Place) -> None:
    for order, life_s in (({"user": "ann", "ttl_s": 90, "sessions": ["room"]}, 90), ({"user": "ann"}, 3600)):
        status, made = await place.ask("admin", "POST", "/api/tokens", order)
        assert made is not None
        assert status == 201
        assert sorted(made) == ["expires_at", "jti", "token"]
        assert abs(made["expires_at"] - time.time() - life_s) < 60
        async with place.dial("?token=" + made["token"]):
            pass


@against()
async def test_post_tokens_needs_the_admin_key(place: Place) -> None:
    assert await place.refused(None, "POST", "/api/tokens", {"user": "ann"}) == (401, "token_missing")
    assert await place.refused("ann", "POST", "/api/tokens", {"user": "ann"}) == (401, "token_invalid")
    bodies: list[Any] = [{}, [], {"user": ""}, {"user": "x" * 129}, {"user": "@server"}, {"user": "ann", "ttl_s": 0}]
    for body in [*bodies, {"user": "ann", "sessions": "room"}]:
        assert await place.refused("admin", "POST", "/api/tokens", body) == (400, "bad_request")
    assert await place.refused("admin", "POST", "/api/tokens", "x" * 70_000) == (413, "too_large")


@against(revocations_max=1)
async def test_delete_tokens_204_revoked_everywhere_within_1_s(place: Place) -> None:
    assert await place.refused(None, "DELETE", "/api/tokens/of-ann") == (401, "token_missing")
    assert await place.refused("ann", "DELETE", "/api/tokens/of-ann") == (401, "token_invalid")
    assert await place.refused("admin", "DELETE", "/api/tokens/" + "x" * 257) == (400, "bad_request")
    async with place.wire() as ann, place.wire("bob") as bob:
        async with asyncio.timeout(1):
            assert await place.ask("admin", "DELETE", "/api/tokens/of-ann") == (204, None)
            assert await ann.code() == 4501
        assert await place.with_token(bearer()) == (401, "token_revoked")
        assert await place.ask("admin", "DELETE", "/api/tokens/of-ann") == (204, None)
        # What cannot be remembered is not promised.
        assert await place.refused("admin", "DELETE", "/api/tokens/of-bob") == (503, "overloaded")
        assert await bob.rest() == []


@against(revocations_max=1, lasting=True)
async def test_delete_a_users_tokens_204_all_that_she_has_are_good_no_more(place: Place) -> None:
    path = "/api/users/ann/tokens"
    assert await place.refused(None, "DELETE", path) == (401, "token_missing")
    assert await place.refused("ann", "DELETE", path) == (401, "token_invalid")
    assert await place.refused("admin", "DELETE", f"/api/users/{'x' * 129}/tokens") == (400, "bad_request")
    _, before = await place.ask("admin", "POST", "/api/tokens", {"user": "ann"})
    async with place.wire() as one, place.wire(jti=None) as two, place.wire("bob") as bob:
        async with asyncio.timeout(1):
            assert await place.ask("admin", "DELETE", path) == (204, None)
            assert [await one.code(), await two.code()] == [4501, 4501]
        assert await place.with_token(bearer(jti=None)) == (401, "token_revoked")
        assert before is not None
        assert await place.with_token(before["token"]) == (401, "token_revoked")
        _, after = await place.ask("admin", "POST", "/api/tokens", {"user": "ann"})
        assert after is not None
        async with place.dial("?token=" + after["token"]):
            pass
        # Again means: whatever she has got since.
        assert await place.ask("admin", "DELETE", path) == (204, None)
        assert await place.with_token(after["token"]) == (401, "token_revoked")
        assert await place.refused("admin", "DELETE", "/api/users/bob/tokens") == (503, "overloaded")
        assert await bob.rest() == []


# Sessions.


@against()
async def test_post_sessions_201_session_expires_at_the_caller_becomes_a_participant(place: Place) -> None:
    status, made = await place.ask("ann", "POST", SESSIONS, {"participants": ["bob", "ann"], "ttl_s": 60})
    assert made is not None
    assert (status, sorted(made)) == (201, ["expires_at", "session"])
    assert abs(made["expires_at"] - time.time() - 60) < 60
    view = await said_of(place, "bob", f"{SESSIONS}/{made['session']}")
    assert view["participants"] == ["ann", "bob"]
    assert view["expires_at"] == made["expires_at"]
    status, made = await place.ask("ann", "POST", SESSIONS, {})
    assert made is not None
    assert (status, made["expires_at"]) == (201, None)
    status, made = await place.ask("admin", "POST", SESSIONS, {"participants": ["cat"]})
    assert made is not None
    assert (await said_of(place, "cat", f"{SESSIONS}/{made['session']}"))["participants"] == ["cat"]


@against(participants_max=2, sessions_max=1)
async def test_post_sessions_refusals(place: Place) -> None:
    assert await place.refused(None, "POST", SESSIONS, {}) == (401, "token_missing")
    bodies: list[Any] = [[], {"participants": "bob"}, {"participants": [""]}, {"ttl_s": 0}, {"ttl_s": "1h"}]
    for body in bodies:
        assert await place.refused("ann", "POST", SESSIONS, body) == (400, "bad_request")
    assert await place.refused("admin", "POST", SESSIONS, {}) == (400, "bad_request")
    assert await place.refused("ann", "POST", SESSIONS, {"participants": ["b", "c"]}) == (409, "session_full")
    assert await place.refused("ann", "POST", SESSIONS, "x" * 70_000) == (413, "too_large")
    await opened(place)
    assert await place.refused("ann", "POST", SESSIONS, {}) == (503, "unavailable")


@against()
async def test_get_session_200_participants_only_else_403(place: Place) -> None:
    name = await opened(place, "bob")
    path = f"{SESSIONS}/{name}"
    async with place.wire(sessions=None) as ann:
        joined = await ann.join(name)
        await ann.say("1", session=name)
    view = await said_of(place, "bob", path)
    assert view == {
        "session": name, "participants": ["ann", "bob"], "expires_at": None, "epoch": joined["epoch"], "seq": 1,
    }  # fmt: skip
    assert await place.refused("eve", "GET", path) == (403, "not_a_participant")
    assert await place.refused("ann", "GET", path, sessions=["other"]) == (403, "not_a_participant")
    assert await place.refused("ann", "GET", SESSIONS + "/nowhere") == (404, "no_such_session")
    assert await place.refused("ann", "GET", SESSIONS + "/" + "x" * 129) == (400, "bad_request")
    assert await place.refused(None, "GET", path) == (401, "token_missing")


@against(participants_max=2)
async def test_post_and_delete_participants_204(place: Place) -> None:
    name = await opened(place)
    path = f"{SESSIONS}/{name}/participants"
    async with place.wire(sessions=None) as ann, place.wire("bob", sessions=None) as bob:
        await ann.join(name)
        await bob.send("status", action="join", session=name)
        assert (await bob.next())["code"] == "not_a_participant"
        assert await place.ask("ann", "POST", path, {"user": "bob"}) == (204, None)
        assert await place.ask("ann", "POST", path, {"user": "bob"}) == (204, None)
        assert [one["user"] for one in (await bob.join(name))["participants"]] == ["ann", "bob"]
        assert await place.refused("ann", "POST", path, {"user": "cat"}) == (409, "session_full")
        message_id = (await ann.say("1", session=name))["message_id"]
        assert await place.ask("admin", "DELETE", path + "/bob") == (204, None)
        left = await bob.find("status", status="left")
        assert left == {"type": "status", "status": "left", "session": name, "reason": "removed"}
        # When a receiver is taken out, what was waiting becomes undelivered with that reason.
        notice = await ann.find("status", status="undelivered")
        assert (notice["message_id"], notice["user"], notice["reason"]) == (message_id, "bob", "removed")
        await bob.send("message", id="1", session=name, body="x")
        assert (await bob.find("error"))["code"] == "not_a_participant"
    for method, tail, body in (("POST", "", {"user": "eve"}), ("DELETE", "/ann", None)):
        assert await place.refused(None, method, path + tail, body) == (401, "token_missing")
        assert await place.refused("eve", method, path + tail, body) == (403, "not_a_participant")
        assert await place.refused("ann", method, f"{SESSIONS}/none/participants{tail}", body) == (
            404,
            "no_such_session",
        )
    assert await place.refused("ann", "POST", path, {"user": ""}) == (400, "bad_request")


@against()
async def test_delete_session_204_ended_joined_connections_get_left_ended(place: Place) -> None:
    name = await opened(place, "bob")
    path = f"{SESSIONS}/{name}"
    async with place.wire(sessions=None) as ann, place.wire("bob", sessions=None) as bob:
        for wire in (ann, bob):
            await wire.join(name)
        message_id = (await ann.say("1", session=name))["message_id"]
        assert await place.refused("eve", "DELETE", path) == (403, "not_a_participant")
        assert await place.refused(None, "DELETE", path) == (401, "token_missing")
        assert await place.ask("bob", "DELETE", path) == (204, None)
        for wire in (ann, bob):
            assert (await wire.find("status", status="left"))["reason"] == "ended"
        notice = await ann.find("status", status="undelivered")
        assert (notice["message_id"], notice["reason"]) == (message_id, "ended")
        await ann.send("status", action="join", session=name)
        assert (await ann.find("error"))["code"] == "no_such_session"
    assert await place.refused("ann", "DELETE", path) == (404, "no_such_session")
    assert await place.refused("ann", "DELETE", SESSIONS + "/@ann") == (400, "bad_request")


@against()
async def test_a_session_with_ttl_s_ends_by_itself(place: Place) -> None:
    name = await opened(place, ttl_s=0.3)
    async with place.wire(sessions=None) as ann:
        await ann.join(name)
        assert (await ann.find("status", status="left"))["reason"] == "ended"
    assert await place.refused("ann", "GET", f"{SESSIONS}/{name}") == (404, "no_such_session")


# Messages.


@against()
async def test_post_message_202_to_all_of_the_users_connections_in_the_own_session(place: Place) -> None:
    path = "/api/users/ann/messages"
    async with place.wire() as one, place.wire() as two, place.wire("bob") as bob:
        status, said = await place.ask("admin", "POST", path, {"body": {"any": ["JSON"]}})
        for wire in (one, two):
            message = await wire.find("message")
            assert (status, said) == (202, {"message_id": message["message_id"], "seq": 1})
            assert (message["session"], message["body"]) == ("@ann", {"any": ["JSON"]})
        assert await bob.rest() == []
    async with place.wire() as later:
        # With seq, ack, retry and resume like any other.
        assert (await later.join("@ann", last_seq=0))["replayed"] == 1
    assert await place.refused("ann", "POST", path, {"body": 1}) == (401, "token_invalid")
    assert await place.refused(None, "POST", path, {"body": 1}) == (401, "token_missing")
    assert await place.refused("admin", "POST", path, {}) == (400, "bad_request")
    assert await place.refused("admin", "POST", path, {"body": "x" * 65_600}) == (413, "too_large")


@against(rate_limit=10_000)
async def test_get_messages_history_oldest_first_at_most_500_a_page(place: Place) -> None:
    name = await opened(place, "bob")
    path = f"{SESSIONS}/{name}/messages"
    async with place.wire(sessions=None) as ann:
        await ann.join(name)
        for number in range(501):
            await ann.say(str(number), number, session=name)
    said = await said_of(place, "bob", path + "?limit=1000")
    assert sorted(said) == ["epoch", "messages", "seq"]
    assert [message["seq"] for message in said["messages"]] == list(range(1, 501))
    assert said["seq"] == 501
    first = said["messages"][0]
    assert abs(first.pop("sent_at") - time.time()) < 60
    assert first.pop("message_id")
    assert first == {"session": name, "epoch": said["epoch"], "seq": 1, "from": "ann", "body": 0}
    said = await said_of(place, "bob", path + "?after=500&limit=10")
    assert [message["seq"] for message in said["messages"]] == [501]
    for query in ("?after=-1", "?after=x", "?limit=0"):
        assert await place.refused("bob", "GET", path + query) == (400, "bad_request")
    assert await place.refused("eve", "GET", path) == (403, "not_a_participant")
    assert await place.refused("bob", "GET", SESSIONS + "/none/messages") == (404, "no_such_session")
    assert await place.refused(None, "GET", path) == (401, "token_missing")


# Health and metrics.


@against()
async def test_health_live_and_health_ready_200(place: Place) -> None:
    # That ready is 503 is seen where a server drains, and where a loop lags.
    assert await place.ask(None, "GET", "/health/live") == (200, {"status": "live"})
    assert await place.ask(None, "GET", "/health/ready") == (200, {"status": "ready"})


@against()
async def test_metrics_prometheus_text_histograms_with_a_bucket_edge_at_0_1_s(place: Place) -> None:
    answer = await place.server.request("GET", "/metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    lines = answer.text.splitlines()
    histograms = {line.split()[2] for line in lines if line.startswith("# TYPE ") and line.endswith(" histogram")}
    assert histograms
    for name in histograms:
        assert any(line.startswith(name + "_bucket") and 'le="0.1"' in line for line in lines), name
