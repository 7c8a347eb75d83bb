"""A scrape of a real server tells what happened at its door and on its connections, and no id."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.exceptions import InvalidStatus

from chatsim.errors import HarnessError
from chatsim.live.metrics import connections, frames
from tests.live.running import Running, on_loop, running, token


async def scraped(server: Running) -> dict[str, float]:
    """The samples of one scrape, as `name{value}` of the one label that there may be."""
    answer = await server.request("GET", "/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain")
    found = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            label = "{" + next(iter(sample.labels.values())) + "}" if sample.labels else ""
            found[sample.name + label] = sample.value
    return found


async def refused(server: Running, query: str) -> None:
    try:
        async with server.dial(query):
            raise AssertionError("nobody may come in with this")
    except InvalidStatus:
        pass


def test_a_scrape_tells_what_happened() -> None:
    async def work() -> None:
        async with running() as server:
            async with server.peer("ann") as ann, server.peer("bob") as bob:
                await ann.join()
                await bob.join()
                await ann.send(type="message", id="1", session="room", body="hello")
                await bob.read_type("message")
                await bob.send(type="ack", session="room", up_to=1)
                while (await ann.read()).get("status") != "delivered":
                    pass
                found = await scraped(server)
                assert found["chatsim_connections"] == found["chatsim_sockets"] == found["chatsim_users"] == 2
                assert found["chatsim_ack_seconds_count"] == found["chatsim_delivery_seconds_count"] == 1
                assert found["chatsim_outbound_queue_frames"] == found["chatsim_outbound_queue_bytes"] == 0
                assert found["chatsim_frames_out_total"] >= 7
                assert "chatsim_loop_lag_seconds_bucket{0.1}" in found
            await refused(server, "")
            await refused(server, "?token=nonsense")
            found = await scraped(server)
            assert found["chatsim_disconnects_total{1000}"] == 2
            assert found["chatsim_auth_failures_total{token_missing}"] == 1
            assert found["chatsim_handshakes_refused_total{token_invalid}"] == 1
            assert found["chatsim_connections"] == 0

    on_loop(work)


def test_a_scrape_tells_how_many_connections_the_handler_knows_and_how_many_the_driver_has() -> None:
    async def work() -> None:
        async with running() as server, server.peer("ann"), server.peer("bob"):
            text = (await server.request("GET", "/metrics")).content
            assert connections(text) == (2, 2)
            assert frames(text, "out") == (await scraped(server))["chatsim_frames_out_total"] >= 2, "both were welcomed"
            assert frames(text, "in") == (await scraped(server))["chatsim_frames_in_total"]
            assert frames(b"chatsim_sockets 2.0", "out") == 0
            # A handler that has forgotten one.
            assert connections(text.replace(b"chatsim_connections 2.0", b"chatsim_connections 1.0")) == (1, 2)

    on_loop(work)
    with pytest.raises(HarnessError, match="how many connections"):
        connections(b"# HELP chatsim_connections Open connections.\n")


def test_refused_requests_are_counted_by_reason() -> None:
    async def work() -> None:
        async with running() as server:
            for method, path, said in [
                ("GET", "/api/sessions/room", ""), ("GET", "/api/sessions/room", "garbage"),
                ("GET", "/api/sessions/room", token(life_s=-5.0)), ("DELETE", "/api/sessions/room", "garbage"),
                ("POST", "/api/tokens", "no key"), ("DELETE", "/api/tokens/x", ""),
            ]:  # fmt: skip
                headers = {"Authorization": "Bearer " + said} if said else {}
                assert (await server.request(method, path, headers=headers)).status_code == 401
            found = await scraped(server)
            reasons = ("token_missing", "token_invalid", "token_expired", "token_revoked")
            counts = [found["chatsim_auth_failures_total{" + reason + "}"] for reason in reasons]
            assert counts == [2, 3, 1, 0]
            assert found["chatsim_handshakes_refused_total{token_invalid}"] == 0

    on_loop(work)


def test_no_id_is_in_a_scrape() -> None:
    async def work() -> None:
        async with running() as server, server.peer("someone-special") as peer:
            await peer.send(type="status", action="join", session="@someone-special")
            text = (await server.request("GET", "/metrics")).text
            assert "special" not in text
            assert token("someone-special") not in text
            assert "c1" not in text.replace("code", "")

    on_loop(work)
