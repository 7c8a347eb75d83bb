"""What the README says can be said, and what it shows is what comes: a newcomer who follows it gets just that.

Each of its commands is run by a test, that which `ELSEWHERE` names: here or, what is done in a fresh copy of the
checkout, in `test_newcomer`. Of what it only speaks of, every target of make does something, and every command is in
the help.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from matplotlib import pyplot

from chatsim.cli.main import main
from tests.readme import showing, test_newcomer
from tests.readme.showing import PATIENCE_S, PICTURE, README, TOP, blocks, commands, played

TEXT = README.read_text(encoding="utf-8")
COMMANDS = commands(TEXT)

ELSEWHERE = {
    "make run": "test_make_run_plays_the_demonstration, test_make_says_what_stands_there_without_it",
    "make test": "test_make_says_what_stands_there_without_it; it is what runs this test",
    "python3 -m venv": "test_the_lines_without_make_do_what_they_say, test_make_says_what_stands_there_without_it",
    "chatsim lint": "test_what_it_shows_is_what_comes",
    "chatsim run after-lunch.yaml": "test_what_it_shows_is_what_comes, test_the_scenario_plays_on_every_wire",
    "chatsim timeline": "test_what_it_shows_is_what_comes",
    "chatsim check": "test_in_ci",
    "chatsim serve": "test_the_server_can_be_talked_to",
    "chatsim chat": "test_the_server_can_be_talked_to",
    "chatsim completion": "test_completion_goes_where_it_is_said_to_go",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a newcomer has saved the scenario."""
    (tmp_path / "after-lunch.yaml").write_text(showing.scenario(TEXT), encoding="utf-8")
    return tmp_path


def of(*beginning: str) -> list[list[str]]:
    """The commands that begin with these words."""
    found = [words for words in COMMANDS if words[: len(beginning)] == list(beginning)]
    assert found
    return found


@pytest.mark.parametrize("words", COMMANDS, ids=shlex.join)
def test_every_command_is_run_by_a_test(words: list[str]) -> None:
    line = shlex.join(words)
    (told,) = [where for beginning, where in ELSEWHERE.items() if line.startswith(beginning)]
    named = set(re.findall(r"test_\w+", told))
    assert named
    assert named <= globals().keys() | vars(test_newcomer).keys()


def test_the_scenario_is_one_of_fifteen_lines_or_so() -> None:
    assert len(showing.scenario(TEXT).splitlines()) <= 16


def test_what_it_shows_is_what_comes(tmp_path: Path) -> None:
    text, picture = showing.renewed(TEXT, tmp_path)
    assert text == TEXT, "make readme writes it anew"
    assert picture == PICTURE.read_text(encoding="utf-8"), "make readme draws it anew"
    assert f"({PICTURE.relative_to(TOP)})" in TEXT


@pytest.mark.parametrize("wire", ["virtual", pytest.param("live", marks=pytest.mark.slow)])
def test_the_scenario_plays_on_every_wire(wire: str, folder: Path) -> None:
    (words,) = of("chatsim", "run", "after-lunch.yaml", "--on", wire)
    argv = [sys.executable, "-m", *words]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    # On real sockets a machine that is too busy has no verdict.
    assert done.returncode in ((0, 1, 4) if wire == "live" else (0,)), done.stdout + done.stderr
    assert re.search(rf"after-lunch +{wire} +lost == 0 +0 +0 +pass", done.stdout), done.stdout + done.stderr


def test_the_notebook_runs() -> None:
    (code,) = blocks(TEXT, "python")
    assert "cs.replicate(more, 20)" in code
    pyplot.switch_backend("agg")
    there = set(pyplot.get_fignums())
    exec(code.replace("cs.replicate(more, 20)", "cs.replicate(more, 2)"), {})
    made = set(pyplot.get_fignums()) - there
    assert len(made) == 1
    for number in made:
        pyplot.close(number)


def test_in_ci(folder: Path) -> None:
    (words,) = of("chatsim", "check")
    (folder / "scenarios").mkdir()
    kept = (folder / "after-lunch.yaml").rename(folder / "scenarios" / "after-lunch.yaml")
    played(words, folder)
    assert (folder / "out.xml").is_file()
    # The line of a broken promise is the one that chatsim/README.md shows, and whose form is tested.
    (line,) = [block for block in blocks(TEXT, "") if "again: chatsim run" in block]
    assert line in blocks((TOP / "chatsim" / "README.md").read_text(encoding="utf-8"), "")
    where, _, _ = line.partition(": ")
    name, _, number = where.partition(":")
    assert kept.read_text(encoding="utf-8").splitlines()[int(number) - 1].startswith("expect:")
    assert folder / name == kept


@contextmanager
def serving(words: list[str], folder: Path) -> Iterator[dict[str, str]]:
    """The README's server, on a free port; the URL of each user."""
    argv = [sys.executable, "-m", *words, "--port", "0"]
    with subprocess.Popen(argv, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline().startswith("listening on ws://127.0.0.1:")
            lines = [server.stdout.readline().strip() for _ in range(2)]
            yield {user: url for user, _, url in (line.partition(": ") for line in lines)}
        finally:
            server.send_signal(signal.SIGTERM)
            assert server.wait(PATIENCE_S) == 0


def test_the_server_can_be_talked_to(folder: Path) -> None:
    (serve,), (chat,) = of("chatsim", "serve"), of("chatsim", "chat")
    assert "$URL" in chat
    with serving(serve, folder) as urls:
        assert list(urls) == ["alice", "bob"]

        def sits_down(user: str) -> subprocess.Popen[str]:
            argv = [sys.executable, "-m", *(urls[user] if word == "$URL" else word for word in chat)]
            return subprocess.Popen(argv, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

        bob = sits_down("bob")
        assert bob.stdin is not None
        assert bob.stdout is not None
        # Whoever waits for nothing is put an end to, and has then heard nothing.
        patience = threading.Timer(PATIENCE_S, bob.kill)
        patience.start()
        assert "in lobby" in bob.stdout.readline()
        alice = sits_down("alice")
        said, _ = alice.communicate("hello, bob\n", timeout=PATIENCE_S)
        assert alice.returncode == 0, said
        assert any("alice: hello, bob" in line for line in bob.stdout)
        patience.cancel()
        bob.communicate("/quit\n", timeout=PATIENCE_S)
        assert bob.returncode == 0


def test_completion_goes_where_it_is_said_to_go(tmp_path: Path) -> None:
    (line,) = [line for block in blocks(TEXT, "sh") for line in block.splitlines() if "completion" in line]
    folder = Path(sys.executable).parent
    there = {**os.environ, "HOME": str(tmp_path), "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(["sh", "-c", line], env=there, cwd=TOP, timeout=PATIENCE_S, check=True)
    assert "complete -o default -F" in (tmp_path / ".bashrc").read_text(encoding="utf-8")


def recipe(target: str) -> list[str]:
    """What make would do for it where all is installed."""
    argv = ["make", "--no-print-directory", "-n", "-o", ".venv/.installed", target]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(argv, cwd=TOP, env=clean, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    return done.stdout.splitlines()


def test_every_target_of_make_that_it_speaks_of_does_something() -> None:
    spoken = set(re.findall(r"(?:^|[`(])make ([a-z-]+)", TEXT, re.MULTILINE))
    assert spoken >= {"run", "test", "test-slow", "notebook"}
    for target in spoken:
        assert recipe(target)


def test_make_notebook_opens_the_notebooks_with_what_they_need() -> None:
    install, show = recipe("notebook")
    assert install.endswith(" install --quiet --disable-pip-version-check -e '.[dev,notebook]'")
    assert show == ".venv/bin/jupyter lab notebooks"
    project = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {"dev", "notebook"} <= set(project["optional-dependencies"])
    assert list((TOP / "notebooks").glob("*.ipynb"))


def test_every_command_that_it_speaks_of_is_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    spoken = set(re.findall(r"`chatsim ([a-z]+)", TEXT))
    for words in COMMANDS:
        spoken |= {words[at + 1] for at, word in enumerate(words) if Path(word).name == "chatsim"}
    assert {"demo", "check", "explore"} <= spoken
    assert main(["--help"]) == 0
    shown = re.findall(r"^  ([a-z]+)  ", capsys.readouterr().out, re.MULTILINE)
    assert spoken <= set(shown)


def test_make_says_what_stands_there_without_it() -> None:
    (block,) = [block for block in blocks(TEXT, "sh") if "python3 -m venv" in block]
    run, test = block.splitlines()
    assert run.split(" && ")[2:] == recipe("run")
    wanted = [step.replace(" -n auto --dist loadfile", "").replace('"', "'") for step in recipe("test")]
    assert test.split(" && ")[2:] == wanted


def test_every_file_that_it_names_is_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", TEXT):
        assert target.startswith("https://") or (TOP / target).is_file(), target


@pytest.mark.parametrize("file", ["chatsim/README.md", "scenarios/README.md", "README.md"])
def test_every_heading_that_is_pointed_at_is_there(file: str) -> None:
    text = (TOP / file).read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\(([^)#]*)#([^)]+)\)", text):
        pointed = (TOP / file).parent / target if target else TOP / file
        headings = re.findall(r"^#+ (.+)$", pointed.read_text(encoding="utf-8"), re.MULTILINE)
        assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}, anchor
