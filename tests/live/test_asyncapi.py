"""The document tells what is on the wire: every frame of a recorded run, in both directions, is one of its messages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from chatsim.cli.main import main
from chatsim.core import frames, handler
from chatsim.core.config import HandlerConfig
from chatsim.core.effects import Send
from chatsim.core.frames import StatusIn, encode
from chatsim.journal.steps import Step, read
from chatsim.live.asyncapi import CLOSE_CODES, ERROR_CODES, REFUSALS, document
from chatsim.live.gate import Denial
from chatsim.sim.run import simulate
from chatsim.telemetry import figures
from tests.cli.fakes import Fakes
from tests.core.world import World
from tests.sim.worlds import scenario

TO_SERVER = (
    "clientMessage",
    "clientAck",
    "clientTyping",
    "clientPresence",
    "clientHeartbeat",
    "join",
    "leave",
    "refresh",
)
TO_CLIENT = tuple(name for name in document()["components"]["messages"] if name not in TO_SERVER)


@cache
def validator(name: str) -> Any:
    """What judges payloads of one message; its references lead through the whole document."""
    reference = {"$ref": f"#/components/messages/{name}/payload"}
    return jsonschema.Draft7Validator(reference | {"components": document()["components"]})


def matching(payload: Any, names: tuple[str, ...]) -> list[str]:
    """The messages that this may be."""
    return [name for name in names if validator(name).is_valid(payload)]


def name_of(payload: dict[str, Any], *, to_server: bool) -> str:
    """What a frame is to be called, by its type and what it says it is."""
    if payload["type"] == "status":
        said: str = payload["action" if to_server else "status"]
        return {"token_expiring": "tokenExpiring"}.get(said, said)
    if payload["type"] == "error":
        return "error"
    kind: str = payload["type"]
    return ("client" if to_server else "server") + kind.title()


@pytest.mark.parametrize("name", [*TO_SERVER, *TO_CLIENT])
def test_the_examples_of_a_message_are_of_its_schema_and_of_no_other(name: str) -> None:
    examples = document()["components"]["messages"][name]["examples"]
    assert examples
    for example in examples:
        assert matching(example["payload"], TO_SERVER if name in TO_SERVER else TO_CLIENT) == [name]


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("clientMessage", {"type": "message", "id": "", "session": "s", "body": 1}),
        ("clientAck", {"type": "ack", "session": "s"}),
        ("join", {"type": "status", "action": "join"}),
        ("refresh", {"type": "status", "action": "refresh"}),
        ("welcome", {"type": "status", "status": "joined"}),
        ("error", {"type": "error", "code": "made_up", "message": "no"}),
    ],
)
def test_what_is_no_such_frame_is_refused(name: str, wrong: Any) -> None:
    assert not validator(name).is_valid(wrong)


def recorded(tmp_path: Path) -> list[Step]:
    """Steps of a run in which everybody does everything, and some do it wrong."""
    path = tmp_path / "journal.jsonl"
    group = {"typing": True, "heartbeat": "20s", "token_ttl": "70s"}
    events: list[dict[str, Any]] = [
        {"at": "20s", "do": "drop", "count": 2},
        {"at": "30s", "do": "flood", "rate": "20/s", "for": "5s", "count": 1},
        {"at": "40s", "do": "bad_frames", "rate": "1/s", "for": "3s", "count": 1},
        {"at": "50s", "do": "vanish", "count": 1, "for": "40s"},
    ]
    simulate(scenario(*events, group=group, duration="3min"), journal=path)
    return list(read(path))


def odds() -> Iterator[tuple[bool, Any]]:
    """What a scenario has nobody do."""
    world = World(HandlerConfig(retry_interval_s=1.0, retries=1))
    world.arrive("ann", "bob", "cid")
    world.say("ann")
    for conn, frame in (("ann", StatusIn("leave", "s")), ("bob", frames.PresenceIn("away"))):
        world.receive(conn, frame)
        yield True, frame
    world.say("ann", "2", "nowhere")
    world.pass_s(10.0)
    world.do("drain")
    yield from ((False, effect.message) for _, effect in world.done if isinstance(effect, Send))


def test_every_frame_of_a_recorded_run_is_a_message_of_the_document(tmp_path: Path) -> None:
    steps = recorded(tmp_path)
    inward = [(True, step.args[1]) for step in steps if step.door == "receive"]
    outward = [(False, e.message) for step in steps for e in step.effects if isinstance(e, Send)]
    seen: set[str] = set()
    for to_server, frame in {(to, encode(frame)) for to, frame in [*inward, *outward, *odds()]}:
        payload = json.loads(frame)
        name = name_of(payload, to_server=to_server)
        assert matching(payload, TO_SERVER if to_server else TO_CLIENT) == [name], payload
        seen.add(name)
    # A token is in no journal, so a refresh is not either.
    assert {*TO_SERVER, *TO_CLIENT} - seen == {"refresh"}


def test_every_struct_of_the_wire_is_in_it() -> None:
    known = document()["components"]["schemas"]
    for union in (frames.ClientFrame, frames.ServerFrame):
        assert {kind.__name__ for kind in union.__args__} <= set(known)


def test_every_reference_leads_somewhere() -> None:
    found = document()
    for reference in set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(found))):
        place: Any = found
        for step in reference.split("/"):
            place = place[step]
        assert isinstance(place, dict)


def test_every_message_has_its_operation_on_the_right_side() -> None:
    sides: dict[str, set[str]] = {"receive": set(), "send": set()}
    for operation in document()["operations"].values():
        names = [reference["$ref"].rpartition("/")[2] for reference in operation["messages"]]
        sides[operation["action"]].update(names)
        for reference in operation.get("reply", {"messages": []})["messages"]:
            sides["send"].add(reference["$ref"].rpartition("/")[2])
    assert sides == {"receive": set(TO_SERVER), "send": set(TO_CLIENT)}


def test_the_codes_are_those_of_the_handler() -> None:
    names = ["GOING_AWAY", "TOO_SLOW", "NO_PONG", "TOKEN_EXPIRED", "FLOOD", "STALE"]
    names += ["TOKEN_REFUSED", "TOKEN_REVOKED", "REPLACED", "VIOLATIONS"]
    codes = [code for code, _, _ in CLOSE_CODES]
    assert {getattr(handler, name) for name in names} <= set(codes) <= set(figures.CLOSE_CODES)
    assert {code for code, _, back in CLOSE_CODES if back == "no" and code >= 4000} == {4500, 4501, 4502, 4503}
    assert set(frames.Fault.__annotations__["code"].split('"')[1::2]) <= set(ERROR_CODES)
    assert {code for _, code, _ in REFUSALS} == set(figures.HANDSHAKE_REFUSALS) - {"other"}
    assert all(Denial(status, code, said).status in (401, 403, 503) for status, code, said in REFUSALS)


def test_the_command_prints_the_same_bytes_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    printed = []
    for _ in range(2):
        assert main(["asyncapi"], Fakes().doors()) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    assert json.loads(printed[0]) == document()
