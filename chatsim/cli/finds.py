"""What is said and kept of a seed that failed: how to see it again, a small scenario that fails alike, its pictures.

Rule: what it takes to see it again is said before anything else is done with it, and a scenario that cannot be written
is printed: no find is lost. Making it smaller and drawing it are `explore`'s.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from shutil import copyfile
from typing import TYPE_CHECKING, Any, Final

from chatsim.cli.output import emit, say

if TYPE_CHECKING:
    from chatsim.explore.play import Played
    from chatsim.explore.shrink import Shrunk

_ENDED: Final = {
    "done": "nothing simpler fails",
    "runs": "which is all that is spent on it",
    "time": "which is all that is spent on it",
    "interrupted": "then you interrupted it",
}


def tell(failed: Played, out: Path, *, shrink: bool) -> bool:
    """Everything about a failure, its small scenario in the folder `out`; returns whether it was interrupted."""
    violation = failed.violations[0]
    emit(f"seed {failed.seed} on {failed.wire}: {violation}")
    for other in failed.violations[1:]:
        emit(f"  also {other}")
    emit(f"again: chatsim explore --seeds 1 --from {failed.seed} --on {failed.wire}")
    if not shrink:
        return False
    from chatsim.explore.play import words_of
    from chatsim.explore.scene import drawn
    from chatsim.explore.shrink import FOR_S, TRIES_MAX, named, shrunk, text

    say(f"making it smaller, with {TRIES_MAX} runs and {FOR_S:.0f} s at most; Ctrl-C keeps what is reached by then")
    whole = words_of(failed.seed, failed.wire)
    small = shrunk(whole, failed.wire, violation, clock=time.monotonic)
    emit(_how(whole, small))
    path = out / f"{violation.name.replace('_', '-')}-{failed.seed}.yaml"
    if not _keep(path, text(small.words, path.stem, violation), named(small.words)):
        return small.ended == "interrupted"
    command = f"chatsim run {path} --on {failed.wire}"
    if violation.name == "same_again":
        command = f"for time in 1 2; do {command} --json | grep trace_hash; done"
    elif failed.wire == "agreement":
        command = f"chatsim explore --scenario {path} --on agreement"
    emit(f"shrunk: {command}")
    if small.ended == "interrupted":
        return True
    try:
        pictures = drawn(small.words, failed.wire, violation.name, path)
    except OSError as problem:
        say(f"chatsim: its pictures cannot be written ({problem.strerror}): make room, and say `chatsim run {path}`")
    else:
        if pictures:
            emit(f"its last moments: {' and '.join(map(str, pictures))} (https://ui.perfetto.dev)")
    return False


def _keep(path: Path, text: str, named: Sequence[Path]) -> bool:
    """Write the scenario, and the files that it names beside it, or print it where it cannot be written; returns
    which."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        for file in named:
            copyfile(file, path.with_name(file.name))
    except OSError as problem:
        say(f"chatsim: {path} cannot be written ({problem.strerror}): put what follows into a file, and run that")
        emit(f"\n{text}")
        return False
    return True


def _how(whole: dict[str, Any], small: Shrunk) -> str:
    """How small it has become, and what that took."""
    counts = [
        f"{before} {what} to {after}"
        for (what, before), after in zip(_sizes(whole).items(), _sizes(small.words).values(), strict=True)
    ]
    return f"shrunk in {small.tries} runs and {small.took_s:.1f} s, {_ENDED[small.ended]}: {', '.join(counts)}"


def _sizes(words: dict[str, Any]) -> dict[str, int]:
    """How much of what is in a scenario."""
    return {
        "events": len(words.get("events", ())),
        "groups": len(words["groups"]),
        "people": sum(group["users"] for group in words["groups"]),
        "settings": len(words.get("handler", ())),
    }
