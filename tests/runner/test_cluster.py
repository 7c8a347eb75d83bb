"""A cluster finds what this machine finds; one that cannot be used is refused in one sentence and bounded time."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
import pytest

from chatsim.cli.main import main
from chatsim.errors import HarnessError, UsageError
from chatsim.runner.cluster import cluster
from chatsim.runner.sweep import sweep
from tests.cli.test_replicating import WORDS
from tests.runner.test_replicate import small
from tests.runner.test_sweep import GRID

Capture = pytest.CaptureFixture[str]

TREE = Path(__file__).parents[2]


def free_port() -> int:
    """A port of loopback that nobody uses."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def dask(stack: ExitStack, *words: str) -> None:
    """A process of Dask, for as long as the stack is there."""
    command = [sys.executable, "-m", "dask", *words, "--host", "127.0.0.1", "--no-dashboard"]
    process = subprocess.Popen(command, cwd=TREE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stack.callback(process.wait, 30)
    stack.callback(process.terminate)


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """The address of a scheduler with two workers, each a process of its own, over TCP."""
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    with ExitStack() as stack:
        dask(stack, "scheduler", "--port", f"{port}")
        for _ in range(2):
            dask(stack, "worker", address, "--nthreads", "1", "--no-nanny")
        yield address


def test_a_cluster_finds_what_this_machine_finds(scheduler: str, tmp_path: Path) -> None:
    alone = sweep(small(), GRID, replications=3, jobs=1, progress=False)
    heard: list[int] = []
    with cluster(scheduler, connect_s=60, workers_s=60):
        there = sweep(small(), GRID, replications=3, keep=tmp_path, progress=lambda done, total: heard.append(done))
    pd.testing.assert_frame_equal(there, alone)
    assert heard == list(range(13))
    assert len(list(tmp_path.iterdir())) == 12


def test_a_run_that_is_not_valid_is_told_from_there_too(scheduler: str) -> None:
    vain = small().with_(events=[{"at": "0s", "do": "drop", "group": "g"}])
    refused = pytest.raises(HarnessError, match=r"is not valid.*\(at users=4\)")
    with cluster(scheduler, connect_s=60, workers_s=60), refused:
        sweep(vain, {"users": [4]}, replications=2, progress=False)


def test_the_command_plays_there(
    scheduler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(WORDS.replace("LIMIT", "200ms"), encoding="utf-8")
    words = ["sweep", "small.yaml", "--set", "users=2,4", "-n", "2", "--json"]
    assert main([*words, "--jobs", "1", "--keep", "here"]) == 0
    here = capsys.readouterr().out
    assert main([*words, "--dask", scheduler, "--keep", "there"]) == 0
    assert capsys.readouterr().out == here


def test_a_scheduler_that_does_not_answer_is_given_up(capfd: pytest.CaptureFixture[str]) -> None:
    address = f"tcp://127.0.0.1:{free_port()}"
    with pytest.raises(HarnessError) as failure, cluster(address, connect_s=0.5):
        raise AssertionError("nobody could play")
    assert str(failure.value).startswith(f"no Dask scheduler answered at {address} within 0.5 s: start one")
    assert failure.value.exit_code == 4
    assert capfd.readouterr() == ("", ""), "one sentence, and no log of Dask"


def test_a_scheduler_without_a_worker_is_given_up() -> None:
    port = free_port()
    with ExitStack() as stack:
        dask(stack, "scheduler", "--port", f"{port}")
        there = cluster(f"tcp://127.0.0.1:{port}", connect_s=60, workers_s=0.2)
        with (
            pytest.raises(HarnessError, match=r"has no worker after 0\.2 s: start one with `dask worker tcp://"),
            there,
        ):
            raise AssertionError("nobody could play")


def test_workers_with_other_code_are_refused(scheduler: str) -> None:
    there = cluster(scheduler, connect_s=60, workers_s=60, digest="another")
    with pytest.raises(UsageError, match=r"2 of 2 workers .* have another chatsim"), there:
        raise AssertionError("they would play something else")


@pytest.mark.parametrize("address", ["nowhere", "tcp://nowhere", "nonsense://127.0.0.1:1"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="write tcp://HOST:PORT"), cluster(address, connect_s=0.5):
        raise AssertionError("there is nothing")


def test_without_dask_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r"pip install 'chatsim\[cluster\]'"), cluster("tcp://127.0.0.1:1"):
        raise AssertionError("there is nothing")
