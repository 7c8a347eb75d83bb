"""Processes that play seeds: each seed has an answer, and a process that dies is a reason and no end of the others."""

from __future__ import annotations

import errno
import os
import signal
from itertools import count

import pytest

from chatsim.explore.workers import Lost, _end, _no_process, answers
from tests.explore.seeds import hangs_when_told, killed_when_told, names_its_process


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_seed_has_its_answer(jobs: int) -> None:
    found = dict(one for one in answers(iter(range(7)), names_its_process, jobs) if one is not None)
    runs = [answer[0] for answer in found.values() if not isinstance(answer, Lost)]
    assert sorted(run.seed for run in runs) == list(range(7))
    processes = {int(run.trace_hash) for run in runs}
    assert os.getpid() not in processes
    assert 1 <= len(processes) <= jobs


def test_a_process_that_is_killed_is_told_with_its_seed_and_the_other_goes_on() -> None:
    found = dict(one for one in answers(iter(range(12)), killed_when_told, 2) if one is not None)
    assert sorted(found) == list(range(12))
    lost = {seed: answer for seed, answer in found.items() if isinstance(answer, Lost)}
    assert lost == {5: Lost("its process was killed by SIGKILL, most likely because memory ran out")}


def test_a_seed_that_hangs_is_told_and_the_others_go_on() -> None:
    found = dict(one for one in answers(iter(range(6)), hangs_when_told, 2, 3.0) if one is not None)
    assert sorted(found) == list(range(6))
    lost = {seed: answer for seed, answer in found.items() if isinstance(answer, Lost)}
    assert lost == {2: Lost("it was not done after 3 s, and its process was ended")}


def test_a_seed_that_hangs_ends_the_only_process_too() -> None:
    found = [one for one in answers(iter(range(6)), hangs_when_told, 1, 3.0) if one is not None]
    assert [seed for seed, _ in found] == [0, 1, 2]
    assert found[2][1] == Lost("it was not done after 3 s, and its process was ended")


def test_whoever_is_no_longer_asked_leaves_no_process() -> None:
    told = answers(iter(count()), names_its_process, 2)
    found = [one for one in (next(told) for _ in range(8)) if one is not None]
    processes = {int(answer[0].trace_hash) for _, answer in found if not isinstance(answer, Lost)}
    told.close()
    for process in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_ctrl_c_is_for_the_one_who_asks_and_not_for_those_who_play() -> None:
    told = answers(iter(range(12)), names_its_process, 2)
    first = next(one for one in told if one is not None)
    assert not isinstance(first[1], Lost)
    os.kill(int(first[1][0].trace_hash), signal.SIGINT)
    rest = [one for one in told if one is not None]
    assert not any(isinstance(answer, Lost) for _, answer in rest)
    assert len(rest) == 11


def test_how_a_process_ended_is_said() -> None:
    assert _end(1) == "its process ended with code 1"
    assert _end(-signal.SIGTERM) == "its process was killed by SIGTERM"


def test_a_process_that_cannot_be_had_is_said_with_what_helps() -> None:
    problem = OSError(errno.EAGAIN, "no more")
    assert _no_process(4, problem) == "4 processes cannot be started (no more): say fewer with --jobs"
    assert _no_process(1, problem) == "the process that plays cannot be started (no more): end others, and try again"
