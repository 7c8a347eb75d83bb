"""The crowd against the real server: what a load promises comes, and what does not come is told."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from chatsim.errors import HarnessError
from chatsim.live.calibration import crowd as crowd_module
from chatsim.live.calibration.crowd import OPS_MIN, Crowd, DisturbedError
from chatsim.live.calibration.loads import BY_NAME, LOADS, Load
from chatsim.live.calibration.measure import Home

OPS = OPS_MIN
PLAIN = [load for load in LOADS if load.server == "plain"]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    home = Home(tmp_path_factory.mktemp("calibration"), None, journal=True)
    with home.crowd("plain") as crowd:
        yield crowd
    assert (home.folder / "plain.jsonl").stat().st_size > 0, "a journal was asked for"


@pytest.mark.parametrize("load", PLAIN, ids=lambda load: load.name)
def test_each_load_is_what_it_says_twice(plain: Crowd, load: Load) -> None:
    for _ in range(2):
        seen = plain.play(load, OPS, max(load.gap_s, 0.0005))
        if load.say == "nothing":
            assert (seen.ops, seen.frames, seen.heard) == (0, 0, 0)
            continue
        assert seen.ops == OPS
        acks = seen.frames - load.frames * OPS
        most = OPS * load.frames * load.listeners / load.settles if load.say == "talked" else 0
        assert acks <= most
        assert load.settles > 1 or acks >= most / 2
        assert (load.heard_least or load.heard) * OPS <= seen.heard <= load.heard * OPS
        assert len(seen.each_s) == OPS
        assert sum(seen.each_s) == pytest.approx(seen.cpu_s, abs=0.005)
        assert 0 < seen.loop_s <= seen.cpu_s + 0.005
        assert seen.wall_s > 0


def test_a_load_that_does_not_bring_what_it_promises(plain: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowd_module, "ANSWER_S_MAX", 0.2)
    promising = msgspec.structs.replace(BY_NAME["heartbeat"], heard=2)
    with pytest.raises(DisturbedError, match=f"{OPS} frames came back, and {2 * OPS} should"):
        plain.play(promising, OPS, 0.001)


def test_a_load_that_is_cut_short_leaves_its_people_as_they_were(plain: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    load = BY_NAME["presence 1x2 plain"]
    with monkeypatch.context() as patch:
        patch.setattr(crowd_module, "LATE_MAX", 0.0)
        assert plain.play(load, 4 * OPS, 0.001).ops == OPS
    assert plain.play(load, 4 * OPS, 0.001).heard == 4 * OPS * 2


def test_a_door_that_answers_otherwise(plain: Crowd) -> None:
    wrong = msgspec.structs.replace(BY_NAME["door missing plain"], say="let in")
    with pytest.raises(HarnessError, match="answered a handshake with"):
        plain.play(wrong, 1, 0.001)


def test_silent_connections_grow_the_server_and_go(plain: Crowd) -> None:
    found = plain.grown(20, 2)
    assert [one.connections for one in found] == [20, 20]
    with pytest.raises(KeyError):
        plain.leave(["idle-0-0"])
