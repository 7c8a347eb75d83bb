"""Scenario files as pytest collects them: on each wire an item for each expectation and one for all invariants, which
share one run.

Decides what an item is called, which markers it has, and what is a failure, an error or a skip. Rule: whatever a person
is told is one line with the place in her file, and never a traceback of ours. Playing is `playing`'s.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from pytest import skip  # noqa: PT013 - no test of ours is passed over: that a person's may be, is told by this name

from chatsim.findings.finding import Finding, Play, relative
from chatsim.pytest_plugin.options import MARKER, Options
from chatsim.pytest_plugin.playing import Plays
from chatsim.store.document import cell

if TYPE_CHECKING:
    from chatsim.scenario.model import Scenario

PYTESTS: Final = frozenset(
    {"skip", "skipif", "xfail", "parametrize", "usefixtures", "filterwarnings", "xdist_group", "timeout", "flaky"}
    | {"asyncio", "anyio", MARKER}
)
"""Markers by which pytest or a plugin does something: a tag of such a name marks as `tag_NAME`."""

INVARIANTS: Final = "invariants"
"""What the item of all that must hold in every run is called."""

_PROPERTIES: Final = (
    "verdict", "observed", "limit", "unit", "n", "low", "high", "replications", "seed", "wire", "why", "took_s",
)  # fmt: skip
"""What a report knows of a promise, `--junitxml` included; `took_s` is of the whole run."""


def marker(tag: str) -> str:
    """The name by which a tag marks tests: `two words` is `two_words`, and `skip`, which has a meaning, `tag_skip`."""
    name = re.sub(r"[^\w.+-]", "_", tag)
    # Names with an underscore in front are refused by pytest.
    return f"tag_{name}" if name in PYTESTS or name.startswith("_") else name


class ScenarioFile(pytest.File):
    """One scenario file."""

    def collect(self) -> Iterable[pytest.Item]:
        """Its expectations on every wire that was asked for, and what must hold there whatever it says; every fault of
        a wrong file in a line of its own."""
        from chatsim.scenario.load import load_all

        shown = relative(self.path, Path.cwd())
        found, problems = load_all([self.path])
        if problems:
            raise self.CollectError("\n".join(f"{problem._replace(file=shown)}" for problem in problems))
        options = self.config.stash[Options.KEY]
        scenario = found[0] if options.seed is None else found[0].with_seed(options.seed)
        markers = self._markers(scenario)
        for wire in options.wires:
            play = Play(scenario=scenario, wire=wire, replications=options.replications, file=shown)
            named: Counter[str] = Counter()
            for place, expectation in enumerate(play.expect):
                name = expectation.text if wire == "sim" else f"{expectation.text}[{wire}]"
                named[name] += 1
                name = name if named[name] == 1 else f"{name}#{named[name]}"
                yield self._marked(Expected.from_parent(self, name=name, play=play, place=place), markers)
            name = INVARIANTS if wire == "sim" else f"{INVARIANTS}[{wire}]"
            yield self._marked(Held.from_parent(self, name=name, play=play), markers)

    def _marked(self, item: pytest.Item, markers: Iterable[pytest.MarkDecorator]) -> pytest.Item:
        for each in markers:
            item.add_marker(each)
        return item

    def _markers(self, scenario: Scenario) -> list[pytest.MarkDecorator]:
        """A marker for each tag, known to pytest so that --strict-markers has nothing against it."""
        names = [MARKER]
        for tag in scenario.tags:
            name = marker(tag)
            self.config.addinivalue_line("markers", f"{name}: scenarios with the tag {tag}")
            names.append(name)
        markers = [getattr(pytest.mark, name) for name in names]
        if self.config.pluginmanager.hasplugin("xdist"):
            # With --dist loadgroup, all of a scenario goes to one worker, so that no other waits for its run.
            markers.append(pytest.mark.xdist_group(name=self.nodeid))
        return markers


class _Promise(pytest.Item):
    """Something that a run of a scenario on one wire is judged by: what `pick` finds in all that was found of the run;
    `line` is where it stands, 0 where in no line."""

    def __init__(self, *, play: Play, line: int, pick: Callable[[list[Finding]], Finding], **words: Any) -> None:
        super().__init__(**words)
        self._play = play
        self._line = line
        self._pick = pick

    def setup(self) -> None:
        """Play the scenario, unless that was done for another promise of it.

        What came of no run is an error here, and a scenario that the wire refuses is skipped.
        """
        found = self._pick(self._run())
        self.user_properties.append((MARKER, self._play.file))
        self.user_properties += [(name, cell(getattr(found, name))) for name in _PROPERTIES]
        if found.verdict == "skipped":
            skip(f"{self._play.file} on {self._play.wire}: {found.why}")
        if found.verdict == "error":
            pytest.fail(found.sentence, pytrace=False)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where the promise stands."""
        return self.path, max(0, self._line - 1), self.name

    def repr_failure(self, *args: Any, **words: Any) -> Any:
        """As pytest has it, but that it happened where the promise stands, and not in this file."""
        made = super().repr_failure(*args, **words)
        crash = getattr(made, "reprcrash", None)
        if crash is not None and Path(crash.path) == Path(__file__):
            crash.path, crash.lineno = self._play.file, self._line
        return made

    def _run(self) -> list[Finding]:
        """All that was found of the run."""
        return self.config.stash[Plays.KEY].found(self._play, self.path)


class Expected(_Promise):
    """One expectation of a scenario on one wire."""

    def __init__(self, *, play: Play, place: int, **words: Any) -> None:
        super().__init__(play=play, line=play.expect[place].line, pick=itemgetter(place), **words)

    def runtest(self) -> None:
        """A broken promise is a failure of one line, and so is one that replications cannot decide."""
        found = self._pick(self._run())
        if found.verdict != "pass":
            pytest.fail(found.sentence, pytrace=False)


class Held(_Promise):
    """All that must hold in every run, whatever its scenario says: one item, because what breaks is known when it is
    played, and what is a test before that."""

    def __init__(self, *, play: Play, **words: Any) -> None:
        super().__init__(play=play, line=play.scenario.line_of(("name",)), pick=play.held, **words)

    def runtest(self) -> None:
        """A failure with a line for each invariant that does not hold."""
        broken = [found.sentence for found in self._run() if found.is_invariant]
        if broken:
            pytest.fail("\n".join(broken), pytrace=False)
