"""A run that is told to end leaves nothing behind, whoever tells it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chatsim.runner.interrupts import ends_as_interrupted

ROOT = Path(__file__).parents[2]

SCENARIO = """
name: long
duration: 1h
groups: [{name: people, users: 2, session_size: 2, messages: {arrivals: periodic, rate: 1/s}}]
expect: [lost == 0]
"""

PROGRAM = """
import signal, sys
from chatsim.cli.doors import REAL, Doors
from chatsim.cli.main import main

def told(share):
    signal.raise_signal(int(sys.argv[1]))

def run(scenario, **flags):
    return REAL.run(scenario, **flags | {"progress": told})

sys.exit(main(sys.argv[2:], Doors(load=REAL.load, run=run)))
"""
"""The command, with a signal to itself as soon as a run is under way."""


IMPORTING = """
import sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "{module}":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupting())
from chatsim.__main__ import entry
sys.argv[1:] = ["--version"]
entry()
"""
"""The command, with a Ctrl-C while it imports something."""


@pytest.mark.parametrize("module", ["chatsim.cli.main", "typer", "chatsim.cli.exploring"])
def test_ctrl_c_before_anything_is_there_is_one_sentence_too(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORTING.format(module=module)], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "chatsim: interrupted\n")


IMPORTED = """
import signal, sys

class Ending:
    def find_spec(self, name, path=None, target=None):
        if name == "{module}":
            signal.raise_signal({number})

sys.meta_path.insert(0, Ending())
from chatsim.__main__ import entry
entry()
"""
"""The command, which is told to end while it imports something."""

ENDING = (signal.SIGTERM, signal.SIGHUP)


def as_usual() -> None:
    # Whoever started the tests may ignore some of them, as nohup does.
    for number in (signal.SIGINT, *ENDING):
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.parametrize("number", ENDING)
@pytest.mark.parametrize("module", ["chatsim.cli.main", "chatsim.cli.exploring", "chatsim.scenario.load"])
def test_who_is_told_to_end_before_anything_is_played_says_so_in_the_reports(
    module: str, number: signal.Signals, tmp_path: Path
) -> None:
    (tmp_path / "long.yaml").write_text(SCENARIO, encoding="utf-8")
    report = tmp_path / "out.xml"
    # Of a good day.
    report.write_text("<testsuites/>", encoding="utf-8")
    program = IMPORTED.format(module=module, number=int(number))
    done = subprocess.run(
        [sys.executable, "-c", program, "check", "long.yaml", "--junit", "out.xml"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{ROOT}"},
        preexec_fn=as_usual,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr.splitlines()[-1]) == (130, "", "chatsim: interrupted")
    assert "Traceback" not in done.stderr
    assert "because the command was interrupted" in report.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "words", [["--version"], ["check", "--help"], ["baseline", "compare"], ["baseline"], ["no", "such"], []]
)
def test_who_is_told_to_end_is_so_whatever_she_was_to_do(words: list[str], tmp_path: Path) -> None:
    program = IMPORTED.format(module="chatsim.cli.main", number=int(signal.SIGTERM))
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{ROOT}"},
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "chatsim: interrupted\n")


EVALUATED = f"""
import signal, sys

class Ending:
    def find_spec(self, name, path=None, target=None):
        if name == "chatsim.scenario.load":
            eval("signal.raise_signal({int(signal.SIGTERM)})")

sys.meta_path.insert(0, Ending())
"""
"""What makes Python believe that it was ended by SIGINT."""


def test_a_module_ends_with_its_code_wherever_it_was_interrupted(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(EVALUATED, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "chatsim", "check", "none.yaml", "--csv", "out.csv"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        check=False,
    )
    assert (done.returncode, done.stderr) == (130, "chatsim: interrupted\n")


def interrupted(number: int, wire: str, folder: Path, *, ignoring: tuple[int, ...] = ()) -> tuple[int, str, list[Path]]:
    """Exit code, stderr, and what is left of a run that was ended so."""
    file, out, temporary = folder / "long.yaml", folder / "out", folder / "temporary"
    file.write_text(SCENARIO, encoding="utf-8")
    temporary.mkdir()

    def dispose() -> None:
        # Whoever started the tests may ignore some of them, as nohup does.
        for other in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(other, signal.SIG_IGN if other in ignoring else signal.SIG_DFL)

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, f"{int(number)}", "run", str(file), "--on", wire, "--out", str(out)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(temporary)},
        preexec_fn=dispose,
        timeout=60,
        check=False,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr, [*(out / "long").iterdir(), *temporary.iterdir()]


@pytest.mark.parametrize("wire", ["sim", "virtual", "live"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_run_that_is_ended_cleans_up(number: signal.Signals, wire: str, tmp_path: Path) -> None:
    code, err, left = interrupted(number, wire, tmp_path)
    assert (code, left) == (130, [])
    assert err.splitlines()[-1] == "chatsim: interrupted"
    assert "Traceback" not in err


def test_a_run_in_the_background_hears_of_its_end_too(tmp_path: Path) -> None:
    # A shell starts what it does not wait for with SIGINT ignored.
    code, _, left = interrupted(signal.SIGTERM, "sim", tmp_path, ignoring=(signal.SIGINT,))
    assert (code, left) == (130, [])


@pytest.fixture
def plain() -> Iterator[None]:
    """Signals as a process has them at its start: servers of other tests may have left handlers of their own."""
    usual: dict[int, Any] = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_IGN,
    }
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("plain")
def test_what_was_set_before_is_set_again_and_what_is_ignored_stays_so() -> None:
    with ends_as_interrupted():
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        # Cleaning up takes a moment, in which to be told once more changes nothing.
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_thread_runs_without_listening_for_signals() -> None:
    reached = []

    def work() -> None:
        with ends_as_interrupted():
            reached.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert reached == [signal.getsignal(signal.SIGTERM)]
