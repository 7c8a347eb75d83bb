"""The wire protocol as it can be seen from outside, sentence by sentence, in the order of the document.

Where the protocol says 30 s a server with shorter intervals is asked. That nothing was sent is seen by a heartbeat: its
answer comes after whatever was on its way.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from websockets.frames import Frame, Opcode

from tests.live.outside import Json, Place, Wire, against, bearer
from tests.live.running import SECRET

# 1. Opening.


@against()
async def test_subprotocol_chatsim_v1_is_offered_back_if_asked_for(place: Place) -> None:
    async with place.dial("?token=" + bearer(), subprotocols=["other", "chatsim.v1"]) as socket:
        assert socket.subprotocol == "chatsim.v1"
    async with place.dial("?token=" + bearer()) as socket:
        assert socket.subprotocol is None


@against()
async def test_the_token_is_taken_from_the_first_found_of_three_places(place: Place) -> None:
    header = {"additional_headers": {"Authorization": "Bearer " + bearer("ann")}}
    offers = {"subprotocols": ["chatsim.v1", "bearer." + bearer("cat")]}
    query = "?token=" + bearer("bob")
    for options, said, user in (
        (header | offers, query, "ann"),
        (offers, query, "bob"),
        (offers, "", "cat"),
    ):
        async with place.dial(said, **options) as socket:
            assert (await Wire(socket).next())["user"] == user


@against(audience="chat", issuer="us")
async def test_no_token_401_token_missing_and_bad_ones_401_token_invalid(place: Place) -> None:
    good: Json = {"aud": "chat", "iss": "us"}
    async with place.wire(**good):
        pass
    assert await place.refusal() == (401, "token_missing")
    for token in (
        bearer(key=b"another secret of thirty-two bytes", **good),
        bearer(key=None, algorithm="none", **good),
        bearer(key=SECRET * 2, algorithm="HS512", **good),
        "junk",
        bearer(aud="others", iss="us"),
        bearer(aud="chat", iss="them"),
        bearer(nbf=time.time() + 300, **good),
        bearer(sub=None, **good),
        bearer(exp=None, **good),
    ):
        assert await place.with_token(token) == (401, "token_invalid")


@against()
async def test_exp_passed_401_token_expired_without_leeway(place: Place) -> None:
    assert await place.with_token(bearer(exp=time.time() - 0.5)) == (401, "token_expired")


@against()
async def test_revoked_401_token_revoked(place: Place) -> None:
    await place.revoke("of-ann")
    assert await place.with_token(bearer()) == (401, "token_revoked")


@against()
async def test_browser_origin_not_allowed_403_origin_forbidden_the_same_host_only(place: Place) -> None:
    query = "?token=" + bearer()
    assert await place.refusal(query, origin="https://elsewhere.example") == (403, "origin_forbidden")
    async with place.dial(query, origin=place.server.url) as socket:
        assert (await Wire(socket).next())["status"] == "welcome"


@against(connections_per_user=2)
async def test_user_already_has_connections_per_user_the_oldest_is_closed_with_4502(place: Place) -> None:
    async with place.wire() as first, place.wire() as second, place.wire() as third:
        assert await first.code() == 4502
        assert await second.rest() == await third.rest() == []


@against(connections_max=1)
async def test_node_full_503_overloaded_with_retry_after(place: Place) -> None:
    async with place.wire():
        assert await place.with_token(bearer("bob")) == (503, "overloaded")


@against(accept_rate_per_s=0.001, resume_rate_per_s=0.001)
async def test_accept_rate_exceeded_503_and_who_resumes_has_a_bucket_of_its_own(place: Place) -> None:
    async with place.wire() as ann:
        assert await place.with_token(bearer("bob")) == (503, "overloaded")
        async with place.wire(query="?resume=" + ann.welcome["connection"]) as back:
            assert back.welcome["status"] == "welcome"
        assert await place.refusal("?resume=nobody&token=" + bearer()) == (503, "overloaded")


@against()
async def test_a_session_named_in_sessions_is_created_at_its_first_join(place: Place) -> None:
    async with place.wire(sessions=["new"]) as ann:
        assert (await ann.join("new"))["participants"] == [{"user": "ann", "state": "online"}]
        await ann.send("status", action="join", session="other")
        assert (await ann.next())["code"] == "no_such_session"


@against(keys=(SECRET, b"the newer secret of thirty-two bytes"))
async def test_two_keys_valid_at_once_for_rotation(place: Place) -> None:
    for key in (SECRET, b"the newer secret of thirty-two bytes"):
        async with place.wire(key=key) as ann:
            assert ann.welcome["user"] == "ann"


@against()
async def test_compression_is_off_unless_configured(place: Place) -> None:
    async with place.dial("?token=" + bearer(), compression="deflate") as socket:
        assert socket.response is not None
        assert "Sec-WebSocket-Extensions" not in socket.response.headers


@against()
async def test_what_is_written_to_the_own_session_reaches_every_connection_of_that_user(place: Place) -> None:
    async with place.wire() as one, place.wire() as two, place.wire("bob") as bob:
        ack = await one.say("1", "to all of me", "@ann")
        assert (ack["session"], ack["seq"]) == ("@ann", 1)
        copy = await two.find("message")
        assert (copy["session"], copy["seq"], copy["from"], copy["body"]) == ("@ann", 1, "ann", "to all of me")
        assert await bob.rest() == []
        assert (await two.join("@ann", epoch=copy["epoch"], last_seq=0))["replayed"] == 1


@against()
async def test_its_user_may_write_to_the_own_session_nobody_else(place: Place) -> None:
    async with place.wire() as ann, place.wire("bob") as bob:
        await bob.send("message", id="1", session="@ann", body="x")
        assert (await bob.next())["code"] in ("not_a_participant", "no_such_session")
        assert await ann.rest() == []


@against()
async def test_first_frame_from_the_server_always_is_welcome(place: Place) -> None:
    async with place.wire() as ann:
        said = dict(ann.welcome)
        assert isinstance(said.pop("connection"), str)
        assert abs(said.pop("server_time") - time.time()) < 60
        assert 590 < said.pop("expires_in_s") < 601
        assert said == {
            "type": "status",
            "status": "welcome",
            "user": "ann",
            "ping_interval_s": 30,
            "pong_timeout_s": 10,
            "message_bytes_max": 65536,
            "rate_limit": {"messages": 60, "per_s": 60},
        }


# 2. Frames.


@against()
async def test_unknown_extra_fields_are_ignored(place: Place) -> None:
    async with place.wire() as ann:
        await ann.send("heartbeat", t=1, more={"x": []})
        assert (await ann.next())["t"] == 1


@against()
async def test_an_unknown_type_is_answered_with_error_unknown_type(place: Place) -> None:
    async with place.wire() as ann:
        await ann.send("dance")
        answer = await ann.next()
        assert (answer["type"], answer["code"]) == ("error", "unknown_type")
        assert isinstance(answer["message"], str)


@against()
async def test_session_ids_have_1_to_128_characters_and_client_ids_1_to_64(place: Place) -> None:
    async with place.wire(sessions=["ü" * 128]) as ann:
        await ann.join("ü" * 128)
        assert (await ann.say("ä" * 64, session="ü" * 128))["seq"] == 1
        for session, id_ in (("x" * 129, "1"), ("", "1"), ("x", "y" * 65), ("x", "")):
            await ann.send("message", id=id_, session=session, body="x")
            assert (await ann.next())["code"] == "bad_frame"


@against()
async def test_message_to_the_client_and_ack_to_the_sender(place: Place) -> None:
    async with place.wire(joins=True) as ann, place.wire("bob", joins=True) as bob:
        ack = await ann.say("mine", {"any": ["JSON", 1, None]})
        message = await bob.find("message")
        assert ack.keys() == {"type", "id", "message_id", "session", "epoch", "seq", "duplicate"}
        assert (ack["id"], ack["session"], ack["seq"], ack["duplicate"]) == ("mine", "room", 1, False)
        assert abs(message.pop("sent_at") - time.time()) < 60
        assert message == {
            "type": "message",
            "message_id": ack["message_id"],
            "session": "room",
            "epoch": ack["epoch"],
            "seq": 1,
            "from": "ann",
            "body": {"any": ["JSON", 1, None]},
            "attempt": 1,
        }


@against()
async def test_body_is_a_string_or_any_json_value(place: Place) -> None:
    async with place.wire(joins=True) as ann, place.wire("bob", joins=True) as bob:
        bodies: list[Any] = ["text", 1.5, None, True, [], {}, "\N{SNOWMAN}\x00"]
        for number, body in enumerate(bodies):
            await ann.say(str(number), body)
            assert (await bob.find("message"))["body"] == body


@against()
async def test_ack_is_cumulative_with_up_to_or_of_one_message_id(place: Place) -> None:
    async with place.wire(joins=True) as ann, place.wire("bob", joins=True) as bob:
        ids = [(await ann.say(str(number)))["message_id"] for number in range(4)]
        await bob.send("ack", message_id=ids[3])
        assert (await ann.find("status"))["message_ids"] == [ids[3]]
        await bob.send("ack", session="room", up_to=3)
        told: list[str] = []
        while len(told) < 3:
            told += (await ann.find("status", status="delivered", user="bob", session="room"))["message_ids"]
        assert told == ids[:3]


@against()
async def test_typing_to_the_others(place: Place) -> None:
    async with place.wire(joins=True) as ann, place.wire("bob", joins=True) as bob:
        await ann.send("typing", session="room", active=True)
        assert await bob.find("typing") == {"type": "typing", "session": "room", "user": "ann", "active": True}


@against()
async def test_heartbeat_t_is_echoed_and_seqs_maps_each_joined_session_to_its_newest_seq(place: Place) -> None:
    async with place.wire(joins=True) as ann:
        await ann.say("1")
        await ann.send("heartbeat", t=12.5)
        answer = await ann.next()
        assert abs(answer.pop("server_time") - time.time()) < 60
        assert answer == {"type": "heartbeat", "t": 12.5, "seqs": {"room": 1, "@ann": 0}}
        await ann.send("heartbeat")
        assert (await ann.next())["type"] == "heartbeat"


@against()
async def test_leave_is_answered_with_left(place: Place) -> None:
    async with place.wire(joins=True) as ann, place.wire("bob", joins=True) as bob:
        await bob.send("status", action="leave", session="room")
        assert await bob.find("status", status="left", session="room")
        await ann.say("1")
        assert [frame for frame in await bob.rest() if frame["type"] == "message"] == []


@against()
async def test_a_frame_larger_than_message_bytes_max_closes_with_1009(place: Place) -> None:
    async with place.wire(joins=True) as ann:
        frame = json.dumps({"type": "message", "id": "1", "session": "room", "body": ""})
        await ann.socket.send(frame.replace('""', '"' + "x" * (65536 - len(frame)) + '"'))
        assert (await ann.find("ack"))["seq"] == 1
        await ann.socket.send("x" * 65537)
        assert await ann.code() == 1009


@against()
async def test_binary_frames_close_with_1003_and_invalid_utf_8_with_1007(place: Place) -> None:
    async with place.wire() as ann:
        await ann.socket.send(b"{}")
        assert await ann.code() == 1003
    async with place.wire() as ann:
        ann.socket.transport.write(Frame(Opcode.TEXT, b'{"type":"\xff"}').serialize(mask=True))
        assert await ann.code() == 1007


@against()
async def test_text_that_is_not_json_or_no_known_shape_gets_error_and_the_connection_lives(place: Place) -> None:
    async with place.wire() as ann:
        for text, code in (
            ("no json", "bad_json"),
            ("", "bad_json"),
            ("[]", "bad_frame"),
            ("{}", "bad_frame"),
            ('{"type":"message"}', "bad_frame"),
            ('{"type":"status","action":"dance"}', "bad_frame"),
            ('{"type":7}', "bad_frame"),
        ):
            await ann.socket.send(text)
            assert (await ann.next())["code"] == code, text[:30]
        await ann.socket.send("[" * 50_000)
        assert (await ann.next())["type"] == "error"
        assert await ann.rest() == []


@against()
async def test_more_than_10_such_frames_in_a_minute_closes_with_4503(place: Place) -> None:
    async with place.wire() as ann:
        for _ in range(10):
            await ann.socket.send("no json")
            assert (await ann.next())["code"] == "bad_json"
        await ann.socket.send("no json")
        assert await ann.code() == 4503


# Message, ack, retry.


@against()
async def test_1_seq_counts_1_2_3_without_gaps_within_an_epoch(place: Place) -> None:
    async with place.wire(joins=True) as ann, place.wire("bob", joins=True) as bob:
        acks = []
        for number in range(5):
            acks += [await ann.say(f"a{number}"), await bob.say(f"b{number}")]
        assert [ack["seq"] for ack in acks] == list(range(1, 11))
        assert len({ack["epoch"] for ack in acks}) == 1
        assert len({ack["message_id"] for ack in acks}) == 10


@against()
async def test_2_sent_to_every_joined_connection_the_senders_others_included_the_sending_one_excluded(
    place: Place,
) -> None:
    async with (
        place.wire(joins=True) as ann,
        place.wire(joins=True) as ann_too,
        place.wire("bob", joins=True) as bob,
        place.wire("bob", joins=True) as bob_too,
        place.wire("bob") as bob_outside,
    ):
        await ann.say("1")
        for wire in (ann_too, bob, bob_too):
            assert (await wire.find("message"))["seq"] == 1
        for wire in (ann, bob_outside):
            assert [frame for frame in await wire.rest() if frame["type"] == "message"] == []


@against(retry_interval_s=0.1)
async def test_2_the_senders_other_connections_get_a_copy_and_owe_nothing(place: Place) -> None:
    async with place.wire(joins=True) as ann, place.wire(joins=True) as ann_too, place.wire("bob", joins=True) as bob:
        await ann.say("1")
        # Bob owes the ack, so that his retry is the clock by which the copy is seen to have none.
        assert (await bob.find("message", attempt=2))["seq"] == 1
        assert [frame["attempt"] for frame in await ann_too.rest() if frame["type"] == "message"] == [1]


@against(retry_interval_s=0.2)
async def test_3_a_receiving_user_has_it_when_one_of_the_users_connections_acks(place: Place) -> None:
    async with (
        place.wire(joins=True) as ann,
        place.wire("bob", joins=True) as bob,
        place.wire("bob", joins=True) as bob_too,
        place.wire("cat", joins=True) as cat,
    ):
        message_id = (await ann.say("1"))["message_id"]
        await bob.find("message")
        await bob.send("ack", session="room", up_to=1)
        notice = await ann.find("status", status="delivered")
        assert notice == {
            "type": "status",
            "status": "delivered",
            "session": "room",
            "user": "bob",
            "message_ids": [message_id],
        }
        await cat.find("message", attempt=2)
        assert [frame["attempt"] for frame in await bob_too.rest() if frame["type"] == "message"] == [1]


@against(retry_interval_s=0.1)
async def test_3_unacked_it_is_sent_again_with_attempt_2_3_4_then_undelivered(place: Place) -> None:
    async with place.wire(joins=True) as ann, place.wire("bob", joins=True) as bob:
        message_id = (await ann.say("1"))["message_id"]
        sends = []
        for _ in range(4):
            sends.append(await bob.find("message"))
        assert [frame["attempt"] for frame in sends] == [1, 2, 3, 4]
        assert {frame["message_id"] for frame in sends} == {message_id}
        notice = await ann.find("status", status="undelivered")
        assert notice.pop("reason")
        assert notice == {
            "type": "status",
            "status": "undelivered",
            "message_id": message_id,
            "session": "room",
            "user": "bob",
        }
        assert [frame for frame in await bob.rest() if frame["type"] == "message"] == []


@against()
async def test_3_delivered_is_coalesced_into_one_frame_per_turn(place: Place) -> None:
    async with place.wire(joins=True) as ann, place.wire("bob", joins=True) as bob:
        ids = [(await ann.say(str(number)))["message_id"] for number in range(5)]
        await bob.send("ack", session="room", up_to=2)
        assert (await ann.find("status", status="delivered"))["message_ids"] == ids[:2]
        # Three acks in one piece of the stream are one turn.
        acks = [json.dumps({"type": "ack", "message_id": message_id}).encode() for message_id in ids[2:]]
        pieces = [Frame(Opcode.TEXT, ack).serialize(mask=True) for ack in acks]
        bob.socket.transport.write(b"".join(pieces))
        assert (await ann.find("status", status="delivered"))["message_ids"] == ids[2:]


@against()
async def test_3_when_a_receiver_leaves_what_was_waiting_becomes_undelivered_with_that_reason(place: Place) -> None:
    async with place.wire(joins=True) as ann, place.wire("bob", joins=True) as bob:
        await ann.say("1")
        await bob.send("status", action="leave", session="room")
        assert (await ann.find("status", status="undelivered", user="bob"))["reason"] == "left"


@against(retry_interval_s=0.1)
async def test_4_when_the_last_connection_goes_what_was_unacked_waits_and_is_replayed_with_one_more_attempt(
    place: Place,
) -> None:
    async with place.wire(joins=True) as ann:
        async with place.wire("bob", joins=True) as bob:
            await ann.say("1")
            await bob.find("message", attempt=1)
        async with place.wire("cat", joins=True) as cat:
            # Four retries' time of somebody else go by; nothing is given up for bob.
            await ann.say("2")
            await ann.find("status", status="undelivered", user="cat")
            await cat.rest()
        async with place.wire("bob") as back:
            joined = await back.join(last_seq=0)
            assert (joined["recovered"], joined["replayed"]) == (True, 2)
            replay = [await back.next(), await back.next()]
            assert [frame["seq"] for frame in replay] == [1, 2]
            assert replay[0]["attempt"] >= 2
            assert (await back.find("message", seq=1))["attempt"] == replay[0]["attempt"] + 1


@against(retention_s=0.3)
async def test_4_what_waits_becomes_undelivered_expired_when_it_slides_out_of_retention(place: Place) -> None:
    async with place.wire(joins=True) as ann:
        async with place.wire("bob", joins=True):
            await ann.say("1")
        assert (await ann.find("status", status="undelivered", user="bob"))["reason"] == "expired"


@against(reliability="baseline", retry_interval_s=0.1)
async def test_4_baseline_retries_run_and_give_up_whether_or_not_anyone_is_there(place: Place) -> None:
    async with place.wire(joins=True) as ann:
        async with place.wire("bob", joins=True):
            await ann.say("1")
        assert (await ann.find("status", status="undelivered", user="bob"))["reason"]


@against(rate_limit=2)
async def test_5_repeating_an_id_returns_the_first_ack_with_duplicate_and_costs_nothing(place: Place) -> None:
    async with place.wire(joins=True) as ann, place.wire("bob", joins=True) as bob:
        first = await ann.say("same")
        for _ in range(3):
            assert await ann.say("same", "another body") == first | {"duplicate": True}
        assert (await ann.say("new"))["seq"] == 2
        # The ids are the user's, for each user her own.
        assert (await bob.say("same"))["seq"] == 3
        assert [frame["seq"] for frame in await bob.rest() if frame["type"] == "message"] in ([1, 2], [])


# Join and resume.


@against()
async def test_join_is_answered_with_joined(place: Place) -> None:
    async with place.wire(joins=True) as ann, place.wire("bob") as bob:
        await ann.say("1")
        joined = await bob.join()
        participants = joined.pop("participants")
        assert sorted(one["user"] for one in participants) == ["ann", "bob"]
        assert {one["state"] for one in participants} == {"online"}
        assert joined.pop("epoch") >= 0
        assert joined == {
            "type": "status",
            "status": "joined",
            "session": "room",
            "seq": 1,
            "recovered": False,
            "replayed": 0,
        }


@against()
async def test_the_k_missed_messages_follow_in_order_before_anything_live(place: Place) -> None:
    async with place.wire(joins=True) as ann, place.wire("bob") as bob:
        for number in range(5):
            await ann.say(str(number), number)
        joined = await bob.join(last_seq=2)
        assert (joined["seq"], joined["recovered"], joined["replayed"]) == (5, True, 3)
        await ann.say("live")
        assert [(await bob.next())["seq"] for _ in range(4)] == [3, 4, 5, 6]


@against(retention_messages=2)
async def test_all_or_nothing_if_any_missed_message_is_gone_nothing_is_replayed(place: Place) -> None:
    async with place.wire(joins=True) as ann, place.wire("bob") as bob:
        for number in range(5):
            await ann.say(str(number))
        joined = await bob.join(last_seq=2)
        assert (joined["seq"], joined["recovered"], joined["replayed"]) == (5, False, 0)
        assert [frame for frame in await bob.rest() if frame["type"] == "message"] == []
        assert (await bob.join(last_seq=3))["replayed"] == 2


@against()
async def test_if_the_epoch_differs_recovered_is_false(place: Place) -> None:
    async with place.wire(joins=True) as ann, place.wire("bob") as bob:
        epoch = (await ann.say("1"))["epoch"]
        assert not (await bob.join(epoch=epoch + 1, last_seq=0))["recovered"]
        assert (await bob.join(epoch=epoch, last_seq=0))["recovered"]


@against()
async def test_last_seq_0_is_a_valid_position(place: Place) -> None:
    async with place.wire(joins=True) as ann, place.wire("bob") as bob:
        await ann.say("1")
        assert (await bob.join(last_seq=0))["replayed"] == 1


@against()
async def test_without_last_seq_the_client_starts_from_seq_and_what_waits_goes_on_waiting(place: Place) -> None:
    async with place.wire(joins=True) as ann:
        async with place.wire("bob", joins=True):
            await ann.say("1")
        async with place.wire("bob") as new, place.wire("bob") as old:
            assert (await new.join())["seq"] == 1
            assert [frame for frame in await new.rest() if frame["type"] == "message"] == []
            assert (await old.join(last_seq=0))["replayed"] == 1


@against()
async def test_replaces_names_the_former_connection_which_is_closed_with_4502_at_once(place: Place) -> None:
    async with place.wire(joins=True) as former, place.wire() as newer, place.wire("bob") as bob:
        await bob.join(replaces=newer.welcome["connection"])
        assert await newer.rest() == []
        await newer.join(replaces=former.welcome["connection"])
        assert await former.code() == 4502


@against()
async def test_not_a_member_not_a_participant_unknown_session_no_such_session(place: Place) -> None:
    async with place.wire(joins=True), place.wire("bob", sessions=None) as bob:
        for session, code in (("room", "not_a_participant"), ("nowhere", "no_such_session")):
            await bob.send("status", action="join", session=session)
            assert (await bob.next())["code"] == code
            await bob.send("message", id="1", session=session, body="x")
            answer = await bob.next()
            assert (answer["code"], answer["id"]) == (code, "1")


@against()
async def test_a_second_join_of_a_joined_session_is_answered_again_harmlessly(place: Place) -> None:
    async with place.wire(joins=True) as ann, place.wire("bob", joins=True) as bob:
        again = await bob.join()
        assert again["seq"] == 0
        await ann.say("1")
        assert len([frame for frame in await bob.rest() if frame["type"] == "message"]) == 1


# Rate limit.


@against()
async def test_60_messages_per_user_over_all_connections_the_61st_gets_rate_limited(place: Place) -> None:
    async with place.wire(joins=True) as one, place.wire(joins=True) as two, place.wire("bob", joins=True) as bob:
        for number in range(60):
            await (one, two)[number % 2].say(str(number))
        await one.send("message", id="61st", session="room", body="x")
        answer = await one.find("error")
        assert (answer["code"], answer["id"]) == ("rate_limited", "61st")
        assert 0 < answer["retry_after_ms"] <= 60_000
        assert max(frame["seq"] for frame in await bob.rest() if frame["type"] == "message") == 60
        # Acks, heartbeats and the rest do not count, and others have a budget of their own.
        assert (await bob.say("1"))["seq"] == 61


@against(rate_limit=2, rate_window_s=2.0)
async def test_the_window_slides_and_retry_after_ms_is_enough(place: Place) -> None:
    async with place.wire(joins=True) as ann:
        for id_ in "123":
            await ann.send("message", id=id_, session="room", body="x")
        wait_s = (await ann.find("error", code="rate_limited", id="3"))["retry_after_ms"] / 1000
        assert 0 < wait_s <= 2.0
        # A client that obeys; timers of the loop may ring a millisecond early.
        await asyncio.sleep(wait_s + 0.005)
        assert (await ann.say("3"))["seq"] == 3


@against(frame_limit=20, frame_window_s=0.3)
async def test_too_many_frames_get_frame_rate_and_4003_if_it_goes_on(place: Place) -> None:
    async with place.wire() as ann:

        async def flood() -> None:
            number = 0
            while True:
                await ann.send("heartbeat", t=number)
                number += 1
                await asyncio.sleep(0.001)

        flooding = asyncio.ensure_future(flood())
        assert (await ann.find("error", code="frame_rate"))["retry_after_ms"] > 0
        assert await ann.code() == 4003
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)


# Typing, presence.


@against()
async def test_typing_is_relayed_at_most_once_per_3_s_and_not_echoed_to_the_user(place: Place) -> None:
    async with place.wire(joins=True) as ann, place.wire(joins=True) as ann_too, place.wire("bob", joins=True) as bob:
        for _ in range(5):
            await ann.send("typing", session="room", active=True)
        await ann.rest()
        assert len([frame for frame in await bob.rest() if frame["type"] == "typing"]) == 1
        assert [frame for frame in await ann_too.rest() if frame["type"] == "typing"] == []


@against(typing_lapse_s=0.1, typing_interval_s=0.05)
async def test_typing_lapses_without_renewal_active_false_is_sent(place: Place) -> None:
    async with place.wire(joins=True) as ann, place.wire("bob", joins=True) as bob:
        await ann.send("typing", session="room", active=True)
        assert (await bob.find("typing"))["active"] is True
        assert (await bob.find("typing"))["active"] is False


@against(presence_grace_s=0.1)
async def test_the_others_hear_online_at_the_first_connection_and_offline_after_the_last(place: Place) -> None:
    async with place.wire(joins=True) as ann:
        async with place.wire("bob", joins=True), place.wire("bob", joins=True):
            presence = await ann.find("presence")
            assert abs(presence.pop("at") - time.time()) < 60
            assert presence == {"type": "presence", "user": "bob", "state": "online"}
            assert [frame for frame in await ann.rest() if frame["type"] == "presence"] == []
        assert (await ann.find("presence"))["state"] == "offline"


@against(presence_grace_s=60.0)
async def test_a_reconnect_inside_the_grace_makes_no_event(place: Place) -> None:
    async with place.wire(joins=True) as ann:
        async with place.wire("bob", joins=True):
            await ann.find("presence", state="online")
        async with place.wire("bob", joins=True):
            assert [frame for frame in await ann.rest() if frame["type"] == "presence"] == []


@against()
async def test_away_and_back_when_the_user_says_so(place: Place) -> None:
    async with place.wire(joins=True) as ann, place.wire("bob", joins=True) as bob:
        await ann.find("presence", state="online")
        for state in ("away", "online"):
            await bob.send("presence", state=state)
            assert (await ann.find("presence"))["state"] == state


# Health.


@against(ping_interval_s=0.1, pong_timeout_s=0.1, presence_grace_s=0.01)
async def test_no_sign_of_life_after_a_ping_closed_4001(place: Place) -> None:
    async with place.wire("bob", joins=True) as bob, place.wire(joins=True) as silent:
        silent.socket.transport.pause_reading()
        await bob.find("presence", user="ann", state="offline")
        silent.socket.transport.resume_reading()
        assert await silent.code() == 4001
        assert await bob.rest() == []


@against(reliability="baseline", stale_after_s=0.2, sweep_interval_s=0.1, ping_interval_s=600.0)
async def test_a_sweep_removes_silent_connections_4005(place: Place) -> None:
    async with place.wire() as ann:
        assert await ann.code() == 4005


# Token expiry.


@against(token_warning_s=599.5)
async def test_before_exp_status_token_expiring_and_a_refresh_is_answered_with_refreshed(place: Place) -> None:
    async with place.wire() as ann:
        assert 0 < (await ann.find("status", status="token_expiring"))["expires_in_s"] <= 599.5
        await ann.send("status", action="refresh", token=bearer(exp=time.time() + 1200))
        assert 1190 < (await ann.find("status", status="refreshed"))["expires_in_s"] < 1201


@against()
async def test_a_refresh_with_another_sub_closes_with_4500(place: Place) -> None:
    async with place.wire() as ann:
        await ann.send("status", action="refresh", token=bearer("bob"))
        assert await ann.code() == 4500


@against(token_grace_s=1.0, frame_limit=1_000_000)
async def test_after_exp_nothing_but_refresh_is_accepted_then_4002(place: Place) -> None:
    async with place.wire(joins=True, exp=time.time() + 1.0) as ann:
        number = 0
        while True:
            number += 1
            await ann.send("heartbeat", t=number)
            if (answer := await ann.next())["type"] == "error":
                break
        assert answer["code"] == "token_expired"
        await ann.send("message", id="late", session="room", body="x")
        assert (await ann.next())["id"] == "late"
        await ann.send("status", action="refresh", token=bearer(exp=time.time() + 1.5))
        await ann.find("status", status="refreshed")
        assert (await ann.say("again"))["seq"] == 1
        assert await ann.code() == 4002


@against()
async def test_a_revoked_token_closes_its_connections_within_1_s_4501(place: Place) -> None:
    async with place.wire() as ann, place.wire() as ann_too, place.wire("bob") as bob:
        await place.revoke("of-ann")
        async with asyncio.timeout(1):
            assert [await ann.code(), await ann_too.code()] == [4501, 4501]
        assert await bob.rest() == []


# 3. Closing.


@against()
async def test_1000_normal_by_the_client(place: Place) -> None:
    async with place.wire() as ann:
        await ann.socket.close(1000)
        assert ann.socket.close_code == 1000


@against(rate_limit=10_000, message_bytes_max=2**20, presence_grace_s=0.01)
async def test_4000_too_slow_a_reader_over_256_frames_or_1_mib_waiting_and_others_are_not_delayed(
    place: Place,
) -> None:
    async with (
        place.wire(joins=True) as ann,
        place.wire("bob", joins=True) as bob,
        place.wire("cat", joins=True) as slow,
    ):
        slow.socket.transport.pause_reading()
        number, gone = 0, False
        while not gone:
            number += 1
            await ann.say(str(number), "x" * 500_000)
            # What bob gets, he gets in time; that the server is rid of the slow one he hears as `offline`.
            while (frame := await bob.next())["type"] != "message":
                gone = gone or frame.items() >= {"type": "presence", "user": "cat", "state": "offline"}.items()
            assert frame["seq"] == number
        slow.socket.transport.resume_reading()
        assert await slow.code() == 4000
