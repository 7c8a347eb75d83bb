"""What is played comes back with its place, and who stops in the middle hears nothing more of it."""

from __future__ import annotations

import subprocess
import sys
import warnings

import pytest
from joblib import Parallel

from chatsim.errors import HarnessError
from chatsim.runner.pool import Failed, attempt, playing
from chatsim.runner.replication import replication
from tests.runner.test_replicate import small
from tests.sim.worlds import scenario

VAIN = scenario({"at": "0s", "do": "drop", "group": "g"}, duration="20s")


def test_each_comes_with_its_place() -> None:
    pool = Parallel(n_jobs=2, backend="threading", return_as="generator_unordered")
    jobs = [(place, (small(), number)) for number, place in enumerate("abc")]
    with pool, playing(pool, "sim", jobs) as results:
        found = dict(results)
    assert found == {place: replication(small(), "sim", number) for number, place in enumerate("abc")}


def test_what_went_wrong_is_an_answer_and_ends_the_rest() -> None:
    place, why = attempt(VAIN, "sim", 0, "here")
    assert (place, type(why)) == ("here", Failed)
    pool = Parallel(n_jobs=1, return_as="generator")
    jobs = [("a", (small(), 0)), ("b", (VAIN, 1)), ("c", (small(), 2))]
    failing = pytest.raises(HarnessError, match="Replication 1 of s")
    got: list[str] = []
    with failing as failure, pool, playing(pool, "sim", jobs) as results:
        got.extend(place for place, _ in results)
    assert (got, failure.value.exit_code) == (["a"], 4)


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_to_stop_in_the_middle_is_silent(backend: str) -> None:
    pool = Parallel(n_jobs=2, backend=backend, return_as="generator_unordered")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pool, playing(pool, "sim", [(number, (small(), number)) for number in range(20)]) as results:
            next(results)


PROGRAM = """
import signal
from joblib import delayed
from chatsim.runner.pool import deaf_to_interrupts, processes


def deaf():
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())


with processes(2) as pool:
    with deaf_to_interrupts():
        found = pool(delayed(deaf)() for _ in range(4))
    print([*found, deaf()])
"""


def test_processes_that_play_do_not_hear_an_interrupt() -> None:
    # In a process of its own, which has started none yet.
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["[True,", "True,", "True,", "True,", "False]"]
