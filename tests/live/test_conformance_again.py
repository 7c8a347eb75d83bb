"""The wire protocol as it can be seen from outside, once more: sentences that are about coming back, about a second
life of the server, and about what settings change.

Where the protocol says 30 s a server with shorter intervals is asked. That nothing was sent is seen by a heartbeat: its
answer comes after whatever was on its way.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.live.outside import Place, against, bearer
from tests.live.running import on_loop, running

# Opening.


@against(origins=("https://app.example",))
async def test_origins_the_same_host_only_unless_origins_says_otherwise(place: Place) -> None:
    query = "?token=" + bearer()
    for origin in ("https://app.example", place.server.url):
        async with place.dial(query, origin=origin):
            pass
    for origin in ("http://app.example", "https://app.example:8443", "https://app.example.org", "null"):
        assert await place.refusal(query, origin=origin) == (403, "origin_forbidden")


@against()
async def test_user_ids_have_1_to_128_characters(place: Place) -> None:
    async with place.wire("ü" * 128) as ann:
        assert ann.welcome["user"] == "ü" * 128
    for user in ("", "x" * 129):
        assert await place.with_token(bearer(user)) == (401, "token_invalid")


@against(retry_interval_s=0.1)
async def test_the_own_session_has_ack_and_retry_like_any_other(place: Place) -> None:
    async with place.wire() as one, place.wire() as two:
        await place.ask("admin", "POST", "/api/users/ann/messages", {"body": "x"})
        for attempt in (1, 2):
            for wire in (one, two):
                assert (await wire.find("message"))["attempt"] == attempt
        await two.send("ack", session="@ann", up_to=1)
        await two.rest()
        # Another message's retries are the clock by which the first is seen to have none.
        await place.ask("admin", "POST", "/api/users/ann/messages", {"body": "y"})
        await two.find("message", seq=2, attempt=3)
        assert [frame for frame in await two.rest() if frame["type"] == "message" and frame["seq"] == 1] == []


# Message, ack, retry.


@against()
async def test_2_receivers_are_those_too_whose_last_connection_went_within_retention(place: Place) -> None:
    async with place.wire(joins=True) as ann, place.wire("cat") as cat:
        async with place.wire("bob", joins=True):
            pass
        message_id = (await ann.say("1"))["message_id"]
        async with place.wire("bob") as bob:
            assert (await bob.join(last_seq=0))["replayed"] == 1
            assert (await bob.find("message"))["message_id"] == message_id
            await bob.send("ack", session="room", up_to=1)
            assert (await ann.find("status", status="delivered", user="bob"))["message_ids"] == [message_id]
        # Who had not joined then is no receiver: she may have it, and nobody hears of her ack.
        assert (await cat.join(last_seq=0))["replayed"] == 1
        await cat.send("ack", session="room", up_to=1)
        await cat.rest()
        assert [frame for frame in await ann.rest() if frame["type"] == "status"] == []


@against()
async def test_3_notices_go_to_the_senders_connections_of_that_moment_and_are_not_kept(place: Place) -> None:
    async with place.wire("bob", joins=True) as bob:
        async with place.wire(joins=True) as ann:
            await ann.say("1")
        async with place.wire() as later:
            await bob.send("ack", session="room", up_to=1)
            # All connections of the sender, joined or not.
            await later.find("status", status="delivered")
        async with place.wire(joins=True) as back:
            assert [frame for frame in await back.rest() if frame["type"] == "status"] == []


@against()
async def test_6_what_is_sent_again_with_the_same_id_after_a_reconnection_is_broadcast_once(place: Place) -> None:
    async with place.wire("bob", joins=True) as bob:
        async with place.wire(joins=True) as ann:
            first = await ann.say("same", "x")
        async with place.wire(joins=True) as back:
            assert await back.say("same", "x") == first | {"duplicate": True}
        assert [frame["seq"] for frame in await bob.rest() if frame["type"] == "message"] == [1]


# Join and resume.


def test_epoch_and_seq_of_a_durable_log_go_on_after_a_restart() -> None:
    async def work() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with running(data=Path(folder)) as server:
                place = Place(server)
                async with place.wire(joins=True) as ann, place.wire("bob", joins=True):
                    ack = await ann.say("1", "before")
            async with running(data=Path(folder)) as server:
                place = Place(server)
                async with place.wire() as ann, place.wire("bob") as bob:
                    joined = await bob.join(epoch=ack["epoch"], last_seq=0)
                    assert joined.items() >= {"epoch": ack["epoch"], "seq": 1, "recovered": True, "replayed": 1}.items()
                    assert (await bob.find("message"))["body"] == "before"
                    await ann.join()
                    # Her ids are remembered, and what waited is still waited for.
                    assert await ann.say("1", "before") == ack | {"duplicate": True}
                    await bob.send("ack", session="room", up_to=1)
                    assert (await ann.find("status", status="delivered"))["message_ids"] == [ack["message_id"]]
                    after = await ann.say("2", "after")
                    assert (after["epoch"], after["seq"]) == (ack["epoch"], 2)

    on_loop(work)


# Presence.


@against(presence_grace_s=60.0)
async def test_who_leaves_is_offline_at_once_and_away_is_told_to_who_joins(place: Place) -> None:
    async with place.wire(joins=True) as ann, place.wire("bob", joins=True) as bob:
        await ann.find("presence", state="online")
        await bob.send("presence", state="away")
        assert (await ann.find("presence"))["state"] == "away"
        assert {"user": "bob", "state": "away"} in (await ann.join())["participants"]
        await bob.send("status", action="leave", session="room")
        assert (await ann.find("presence"))["state"] == "offline"
        assert {"user": "bob", "state": "offline"} in (await ann.join())["participants"]
