"""What the README shows of a run, made anew: outputs, a table, and its picture.

Decides what may differ from day to day, and stands as it is written: when a run was made, how long it took, and what
real sockets measured. Rule: everything else is what the commands say.
"""

from __future__ import annotations

import io
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable
from contextlib import redirect_stdout
from pathlib import Path

from chatsim.cli.output import COLUMNS, emit_table

TOP = Path(__file__).parents[2]
README = TOP / "README.md"
PICTURE = TOP / "results" / "after-lunch.svg"
PATIENCE_S = 240.0

MOMENT = re.compile(r"\d{8}T\d{6}Z")
TOOK = re.compile(r"(?<=\) )\d+\.\d s$", re.MULTILINE)
APART = re.compile(r" {2,}")


def blocks(text: str, kind: str) -> list[str]:
    """The fenced blocks of a kind, each without its fences."""
    return [inner for of, inner in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE) if of == kind]


def commands(text: str) -> list[list[str]]:
    """Every command of the `sh` and `console` blocks, as words."""
    lines = [line for block in blocks(text, "sh") for line in block.splitlines()]
    lines += [line[2:] for block in blocks(text, "console") for line in block.splitlines() if line.startswith("$ ")]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def scenario(text: str) -> str:
    """The scenario that the README has its reader save."""
    return blocks(text, "yaml")[0]


def played(words: Iterable[str], folder: Path, *, code: int = 0) -> str:
    """What a command of ours writes at a terminal, errors first. Raises AssertionError with it for another code."""
    argv = [sys.executable, "-m", *words]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stderr + done.stdout


def run_in(folder: Path) -> Path:
    """The one run of the README's scenario on `sim` that stands in this folder."""
    (found,) = (folder / "results" / "runs" / "after-lunch").glob("*-sim-*")
    return found


def console(block: str, folder: Path) -> str:
    """The block with what its commands answer now; moments and how long it took stay as they stand in it."""
    made = ""
    for line in block.splitlines():
        if line.startswith("$ "):
            made += f"{line}\n{played(shlex.split(line[2:]), folder)}"
    for varying in (MOMENT, TOOK):
        written = varying.search(block)
        assert written is not None
        made = varying.sub(written[0], made)
    return made


def table(block: str, folder: Path) -> str:
    """The table with what its scenarios on `sim` are judged by now; a row of real sockets stays as it is."""
    rows = [APART.split(line.strip()) for line in block.splitlines()[1:]]
    names = dict.fromkeys(row[0] for row in rows if row[1] == "sim")
    said = played(["chatsim", "check", *names], folder)
    now = {tuple(row[:3]): row for line in said.splitlines() if len(row := APART.split(line.strip())) == len(COLUMNS)}
    written = io.StringIO()
    with redirect_stdout(written):
        shown = [now[row[0], row[1], row[2]] if row[1] == "sim" else row for row in rows]
        emit_table((a, b, c, d, e, f) for a, b, c, d, e, f in shown)
    return written.getvalue()


def picture_command(text: str, folder: Path) -> list[str]:
    """The command that draws the README's picture, with its patterns as a shell would read them in this folder."""
    (words,) = (words for words in commands(text) if words[:2] == ["chatsim", "timeline"])
    found = [[f"{path}" for path in sorted(folder.glob(word))] if "*" in word else [word] for word in words]
    return [word for several in found for word in several]


def renewed(text: str, folder: Path) -> tuple[str, str]:
    """The README and its picture as they would be written now; `folder` is an empty one to run in."""
    (folder / "after-lunch.yaml").write_text(scenario(text), encoding="utf-8")
    (shown,) = blocks(text, "console")
    text = text.replace(shown, console(shown, folder))
    judged = blocks(text, "")[0]
    text = text.replace(judged, table(judged, folder))
    played(picture_command(text, folder), folder)
    return text, (run_in(folder) / "timeline.svg").read_text(encoding="utf-8")
