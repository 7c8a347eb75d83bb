"""Invariant: whatever moment a loaded server is killed at, what it has acked reaches everybody once and in order.

A real server process with a log that lasts, killed without warning again and again while a crowd of real clients talks;
at the end everything that was acked must have been seen by everyone else, and the log must have no gap.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from math import isnan
from pathlib import Path
from queue import SimpleQueue
from random import Random
from urllib.parse import urlsplit

import httpx
import pytest
import uvloop

from chatsim.core.client import ClientConfig
from chatsim.core.config import HandlerConfig
from chatsim.core.tokens import issue
from chatsim.live.calendar import Calendar
from chatsim.live.crowd import Crowd
from chatsim.live.node import Node
from chatsim.live.sqlite_log import SqliteLog
from chatsim.live.tokens import Purse
from chatsim.people.people import People
from chatsim.scenario.model import Scenario
from tests.live.arena import ADMIN_KEY, HELLO, SECRET, free_links

KILLS = 20
PEOPLE = 10
SPEAK_S = 0.005
ALIVE_S = (0.02, 0.4)
"""How long a server lives before it is killed; some do not live to see everybody back."""

PATIENCE_S = 120.0
SCENARIO = Scenario.of({"name": "x", "duration": "1s", "groups": [{"name": "g", "users": 1}], "expect": ["lost == 0"]})
CONFIG = HandlerConfig(rate_limit=1_000_000, frame_limit=1_000_000, accept_rate_per_s=1e6, retention_messages=100_000)


class Lives:
    """One server after another, on one port and one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self.node: Node
        self.begin(0)

    def begin(self, port: int) -> None:
        """Start the next."""
        self._count += 1
        self.node = Node(
            CONFIG,
            secret=SECRET,
            admin_key=ADMIN_KEY,
            journal=self._folder / f"journal-{self._count}.jsonl",
            log=self._folder / f"log-{self._count}.txt",
            data=self._folder / "data",
            port=port,
        )

    def again(self) -> None:
        """Kill it, and start the next where it was."""
        port = urlsplit(self.node.url).port
        assert port is not None
        self.node.kill()
        self.begin(port)


async def until(crowd: Crowd, so: Callable[[], object]) -> None:
    """Wait until it is so; fails after a time that no healthy machine needs, and says how far everybody was."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not so():
                assert crowd.calendar.failure is None, repr(crowd.calendar.failure)
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError("\n".join(state(crowd))) from None


def state(crowd: Crowd) -> Iterator[str]:
    """What would have to be known of each person if it came to nothing."""
    people = crowd.people
    receipts = people.receipts
    for person, device in zip(people.persons, people.devices, strict=True):
        missed = [
            row.message_id
            for row in people.sent
            if row.user != person.name and person.name not in receipts.get(row.message_id, ())
        ]
        client = device.client
        yield (
            f"{person.name} {client.state}, joined {device.joined}, unacked {client.unacked}, of {len(people.sent)} "
            f"messages missed {len(missed)}, such as {missed[:5]}"
        )


def heard(people: People) -> bool:
    """Whether everything that was said has reached everybody else."""
    return sum(map(len, people.receipts.values())) >= len(people.sent) * (PEOPLE - 1)


async def talk(lives: Lives) -> Crowd:
    """People who talk all the time while their server dies and is born again, and then hear each other out."""
    dice = Random(7)
    calendar = Calendar(asyncio.get_running_loop())
    crowd = Crowd(calendar, lives.node.url, token=Purse(SCENARIO, SECRET).token, links=free_links)
    people = crowd.people
    config = ClientConfig(backoff_base_s=0.02, backoff_s_max=0.1)
    for number in range(PEOPLE):
        people.add(f"u{number}", "g", "s", devices=1, seed=number, config=config)
    talking = True

    def speak(now: float, _: object, __: object) -> None:
        if talking:
            people.say(now, dice.choice(people.persons), now, HELLO)
            calendar.at(now + SPEAK_S, speak)

    calendar.begin()
    for person in people.persons:
        people.arrive(calendar.now(), person)
    try:
        # Who joins for the first time begins with what is said from then on, and what a session is outlives a crash
        # from the first commit on: so everybody is there before anything is said, and one message has been stored
        # before anybody is killed. Where the machine is busy, neither comes by itself.
        await until(crowd, lambda: all(device.joined for device in people.devices))
        people.say(calendar.now(), people.persons[0], calendar.now(), HELLO)
        await until(crowd, lambda: heard(people))
        calendar.at(calendar.now(), speak)
        for _ in range(KILLS):
            await asyncio.sleep(dice.uniform(*ALIVE_S))
            await asyncio.to_thread(lives.again)
        talking = False
        await until(crowd, lambda: all(device.joined and not device.client.unacked for device in people.devices))
        await until(crowd, lambda: heard(people))
    finally:
        await crowd.end()
    assert calendar.failure is None
    assert crowd.faults == []
    return crowd


@pytest.mark.slow
def test_what_was_acked_survives_twenty_crashes(tmp_path: Path) -> None:
    lives = Lives(tmp_path)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            people = runner.run(talk(lives)).people
    finally:
        lives.node.stop()
    assert len(people.outages) >= KILLS, "or the crowd noticed nothing"
    assert len(people.sent) > 100
    assert not any(isnan(row.acked_at) for row in people.sent)
    receipts = people.receipts
    everyone = {person.name for person in people.persons}
    lost = [row for row in people.sent if set(receipts[row.message_id]) != everyone - {row.user}]
    assert lost == []
    assert (people.duplicates, people.out_of_order) == (0, 0)
    log = SqliteLog(tmp_path / "data", answer_in=SimpleQueue[Callable[[], None]]().put)
    kept = log.history("s", 0, 1_000_000)
    log.close()
    assert len({record.epoch for record in kept}) == 1
    assert [record.seq for record in kept] == list(range(1, len(kept) + 1))
    assert {record.message_id for record in kept} == {row.message_id for row in people.sent}
    assert log.life == KILLS + 2


def test_orders_that_were_answered_survive_the_kill_that_follows(tmp_path: Path) -> None:
    lives = Lives(tmp_path)
    wall = time.time()
    try:
        with httpx.Client(trust_env=False, timeout=PATIENCE_S) as client:

            def ask(method: str, path: str, key: str, body: object = None) -> httpx.Response:
                url = "http" + lives.node.url.removeprefix("ws").removesuffix("/ws") + path
                return client.request(method, url, headers={"Authorization": f"Bearer {key}"}, json=body)

            ann = issue(SECRET, "HS256", sub="ann", exp=wall + 600, wall=wall, jti="ann")
            lost = issue(SECRET, "HS256", sub="ann", exp=wall + 600, wall=wall, jti="lost")
            bob = issue(SECRET, "HS256", sub="bob", exp=wall + 600, wall=wall, jti="bob")
            made = ask("POST", "/api/sessions", ann, {"participants": ["bob"]})
            lives.again()
            path = f"/api/sessions/{made.json()['session']}"
            assert ask("GET", path, ann).json()["participants"] == ["ann", "bob"]
            assert ask("DELETE", path + "/participants/bob", ann).status_code == 204
            assert ask("DELETE", "/api/tokens/lost", ADMIN_KEY.decode()).status_code == 204
            lives.again()
            assert ask("GET", path, bob).json()["error"] == "not_a_participant"
            assert ask("GET", path, lost).json()["error"] == "token_revoked"
    finally:
        lives.node.stop()
