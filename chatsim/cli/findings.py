"""What `run`, `check` and `baseline compare` say of what they found: a line on stderr for each broken promise, the
reports `--junit`, `--json-file`, `--csv`, `--html`, and what GitHub Actions shows.

Decides when that is said. Rule: whatever happens, it is said: a command line or a file that could not be read, a run
that failed and all that an interrupt kept from being played is an error in the reports, so that no old one of a good
day is left to be read. What they say stands in `chatsim.findings`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from os.path import realpath
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

import typer

from chatsim.cli.doors import Scenario, Wire
from chatsim.cli.execute import Outcome, loaded
from chatsim.cli.output import say
from chatsim.errors import ChatsimError, HarnessError, UsageError
from chatsim.scenario.paths import exists, is_file, is_folder
from chatsim.scenario.recognise import is_yaml

if TYPE_CHECKING:
    from chatsim.findings.finding import Finding, Findings, Play
    from chatsim.scenario.load import Notice

Junit = Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write a JUnit test case for each.")]
JsonFile = Annotated[Path | None, typer.Option("--json-file", metavar="FILE", help="Write what was found as JSON.")]
Csv = Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write a row for each expectation.")]
Html = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page with one table.")]

STOPPED: Final = "it was not played to its end, because the command was interrupted"
"""Of what an interrupt kept from being played."""

_FLAGS: Final = {"junit": "--junit", "json_file": "--json-file", "csv": "--csv", "html": "--html"}

_DASH: Final = Path("-")


class Reports:
    """The reports of one command; as a context manager it writes them at the end, whatever ends it. `begun` is how many
    have written that nothing is known yet, so that no old ones are left."""

    begun: ClassVar[int] = 0

    def __init__(
        self, reads: Sequence[Path] | None = None, environ: Mapping[str, str] = os.environ, **files: Path | None
    ) -> None:
        """`files` are the paths by the names of `_FLAGS`, None where one is not wanted; `reads` are those of what the
        command reads, as `discover` takes them, None where that is not known; `environ` tells whether this is a step of
        GitHub Actions."""
        self._reads = reads
        self._files = {name: path for name, path in files.items() if path is not None}
        self._environ = environ
        self._plays: list[Play] = []
        self._found: list[Finding] = []
        self._notices: list[Notice] = []

    def __enter__(self) -> Reports:
        """Write that nothing is known yet, which is what is left where the process is killed; but nothing into a pipe
        or a device, of which all is read that it gets.

        Raises UsageError where a file cannot be written, or would be written twice, or is somebody's work.
        """
        if self._files:
            from chatsim.findings.finding import Findings, unreadable

            try:
                self._check_free()
                self._check_apart()
                kept = {name: path for name, path in self._files.items() if not _is_read_as_it_comes(path)}
                _write(kept, Findings([unreadable("the command has not come to its end")]), UsageError)
            except UsageError as refusal:
                self._leave_no_old(refusal)
                raise
        Reports.begun += 1
        return self

    def _leave_no_old(self, refusal: UsageError) -> None:
        """Say why nothing is played in all that is there already and can be written."""
        from chatsim.findings.finding import Findings, unreadable

        places: dict[str, str] = {}
        for name, path in self._files.items():
            if exists(path):
                places.setdefault(realpath(path), name)
        self._files = {name: self._files[name] for name in places.values()}
        # What cannot be written is told of already.
        with suppress(UsageError):
            _write(self._files, Findings([unreadable(refusal)]), UsageError)

    def noticed(self, notice: Notice) -> None:
        """Something that is no fault of a file, and yet may not be what was meant."""
        self._notices.append(notice)

    def loaded(
        self,
        found: tuple[Sequence[Scenario], Sequence[object]],
        wires: Wire | Sequence[Wire],
        seed: int | None,
        replications: int | Literal["auto"] | None = None,
        options: Sequence[str] = (),
        command: Sequence[str] = (),
    ) -> Sequence[Scenario]:
        """The scenarios that are to be played; `options` and `command` are words of `Play`.

        Raises UsageError for faults as `execute.loaded` does.
        """
        from chatsim.findings.finding import Play, relative, unreadable

        here = Path.cwd()
        self._found = [unreadable(problem) for problem in found[1]]
        for wire in [wires] if isinstance(wires, str) else wires:
            for scenario in found[0]:
                known: Any = scenario
                play = Play(
                    scenario=known,
                    wire=wire,
                    seed=seed,
                    replications=replications,
                    file="" if known.path is None else relative(known.path, here),
                    command=tuple(command),
                    options=tuple(options),
                )
                self._plays.append(play)
        return loaded(found)

    def ended(self, outcome: Outcome, took_s: float) -> None:
        """The next of them has been played."""
        play = self._plays.pop(0)
        if outcome.rulings is not None:
            self._found += [*play.ruled(outcome.rulings, took_s), *play.broken(outcome.broken, took_s)]
        elif outcome.result is not None:
            self._found += play.judged(outcome.result, took_s)
        else:
            self._found += play.unjudged(outcome.why, took_s, "skipped" if outcome.skipped else "error")

    def told(self, of: Callable[[Play], Sequence[Finding]]) -> None:
        """The next of them has been played, and `of` says what was found."""
        self._found += of(self._plays.pop(0))

    @property
    def verdict(self) -> str:
        """The one word for all that was found so far, as the reports have it."""
        from chatsim.findings.finding import Findings

        return Findings(self._found).verdict

    def left_out(self, findings: Sequence[Finding]) -> None:
        """What was not played at all, and ought to have been."""
        self._found += findings

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from chatsim.findings.finding import Findings

        self._tell(error)
        self._give_up(error)
        findings = Findings(self._found)
        try:
            _write(self._files, findings, HarnessError)
        except HarnessError as problem:
            if error is None:
                raise
            # What ended the command is the graver news.
            say(f"chatsim: {problem}")
        if on_github(self._environ):
            self._tell_github(findings)

    def _tell(self, error: BaseException | None) -> None:
        """A line on stderr for each broken promise, wherever this runs, and for each run that proves nothing; but what
        ends the command is told by whom it goes to."""
        from chatsim.findings.finding import Findings

        for finding in Findings(self._found).told:
            ends = error is not None and finding.verdict in ("error", "skipped") and finding.why == f"{error}"
            if finding.wire and not ends:
                say(finding.sentence)

    def _give_up(self, error: BaseException | None) -> None:
        """What was to be played and was not, with the reason."""
        if error is None:
            return
        from chatsim.findings.finding import unreadable

        faults = [finding for finding in self._found if not finding.wire]
        why = f"it was not played, because {faults[0].where} is wrong" if faults else _why(error)
        for play in self._plays:
            self._found += play.unjudged(why)
        if not self._found:
            self._found.append(unreadable(why))

    def _check_free(self) -> None:
        """Raise UsageError where a report would overwrite what is read, or what may be a scenario all the same: where
        its name was forgotten, the next word is taken for it. Nothing is written there then, nor into a file that is
        called as other programs call stdout."""
        taken = {name: "which stands for no file" for name, path in self._files.items() if path == _DASH}
        there = {name: path for name, path in self._files.items() if is_file(path) and name not in taken}
        read = self._read() if there else []
        for name, path in there.items():
            if any(map(path.samefile, read)):
                taken[name] = "which this command reads"
            elif is_yaml(path) or is_yaml(Path(realpath(path))):
                taken[name] = "a YAML file that is there already"
        files, self._files = self._files, {name: path for name, path in self._files.items() if name not in taken}
        for name, what in taken.items():
            flag = _FLAGS[name]
            raise UsageError(f"{flag} names {files[name]}, {what}: give {flag} a file of its own")

    def _read(self) -> list[Path]:
        """The files that the command reads and that are there."""
        from chatsim.scenario.load import discover

        found: list[Path] = []
        # Each by itself: what is wrong with one of them is told when it is read.
        for paths in [] if self._reads is None else [[path] for path in self._reads] or [[]]:
            with suppress(UsageError):
                found += filter(is_file, discover(paths))
        return found

    def _check_apart(self) -> None:
        """Raise UsageError where one report would overwrite another."""
        flags: dict[str, str] = {}
        for name, path in self._files.items():
            first = flags.setdefault(realpath(path), _FLAGS[name])
            if first != _FLAGS[name]:
                raise UsageError(f"{first} and {_FLAGS[name]} both name {path}: give each report a file of its own")

    def _tell_github(self, findings: Findings) -> None:
        """Annotations go to stderr, where GitHub reads them too: stdout is the result's."""
        from chatsim.findings.github import SUMMARY_BYTES_MAX, summary

        annotate(findings, self._notices, self._environ)
        place = self._environ.get("GITHUB_STEP_SUMMARY")
        if not place:
            return
        try:
            path = Path(place)
            there = path.stat().st_size if path.exists() else 0
            with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(summary(findings, SUMMARY_BYTES_MAX - there))
        except OSError as problem:
            # The verdict does not depend on it.
            say(f"chatsim: the summary of this step cannot be written to {place} ({problem.strerror})")


def _write(files: Mapping[str, Path], findings: Findings, refusal: type[ChatsimError]) -> None:
    """Write them as these reports, by the names of `_FLAGS`. Raises `refusal` where one cannot be written."""
    from chatsim.findings.junit import junit
    from chatsim.findings.page import page
    from chatsim.findings.table import table
    from chatsim.store.document import encode

    formats = {
        "junit": junit,
        "json_file": lambda found: f"{encode(found.to_dict())}\n",
        "csv": table,
        "html": page,
    }
    refused: tuple[str, OSError] | None = None
    for name, path in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(formats[name](findings), encoding="utf-8", errors="backslashreplace")
        except OSError as problem:
            # The others are written all the same.
            told = f"cannot write {path} ({problem.strerror}): name another file with {_FLAGS[name]}"
            refused = refused or (told, problem)
    if refused is not None:
        raise refusal(refused[0]) from refused[1]


def _is_read_as_it_comes(path: Path) -> bool:
    """Whether what is written there is somebody's at once, and cannot be written anew: a pipe, a terminal, a device. Of
    one that cannot be written, and of a socket, which has no path to write to, the attempt tells at once."""
    is_kept = is_file(path) or is_folder(path)
    return exists(path) and not is_kept and not path.is_socket() and os.access(path, os.W_OK)


def on_github(environ: Mapping[str, str]) -> bool:
    """Whether this is a step of GitHub Actions."""
    return environ.get("GITHUB_ACTIONS") == "true"


def annotate(findings: Findings, notices: Sequence[Notice], environ: Mapping[str, str]) -> None:
    """Say on stderr what GitHub shows beside the files."""
    from chatsim.findings.github import annotated

    root = environ.get("GITHUB_WORKSPACE")
    for line in annotated(findings, Path(root) if root else None, notices):
        say(line)


def unread(context: Any, line: Sequence[str], why: str) -> None:
    """Say `why` nothing comes of a command line, which could not be read or was interrupted, in the reports that it
    names, as far as they can be told: `context` is that of the command that ended there, None where that is not known.
    """
    path = context.command_path.split()[1:] if context is not None else []
    if list(line[: len(path)]) != path:
        return
    named = {parameter.name for parameter in context.command.params} if path else set()
    if not named.issuperset(_FLAGS):
        return
    # As the command would read it, but that whatever is wrong is passed over.
    read = context.command.make_context(
        path[-1], list(line[len(path) :]), resilient_parsing=True, ignore_unknown_options=True
    )
    reads = [read.params.get("file"), *(read.params.get("paths") or ()), read.params.get("against")]
    # It goes where it came from.
    with (
        suppress(ChatsimError),
        Reports([path for path in reads if path], **{name: read.params.get(name) for name in _FLAGS}),
    ):
        raise UsageError(why)


def _why(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return STOPPED
    if isinstance(error, ChatsimError):
        return f"{error}"
    return f"something broke that should not: {type(error).__name__}: {error}"
