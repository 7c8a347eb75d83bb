"""The pytest plugin: scenario files are tests, one for each expectation and one for what must hold in every run, and
people's own tests get a server, a simulation and a handler with manual time.

Decides the options, and what the workers of pytest-xdist share. Rule: it is on wherever chatsim is installed, so that
it costs nothing and changes nothing for those who have no scenarios: all that is heavy is imported when the first is
collected. Collecting, playing and the fixtures stand in the modules beside this one.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Generator
from os.path import realpath
from pathlib import Path
from typing import Any, Final

import pytest

from chatsim.pytest_plugin.fixtures import chat_clock, chat_server, chat_sim
from chatsim.pytest_plugin.judged import Judged
from chatsim.pytest_plugin.options import MARKER, WIRES, Options
from chatsim.scenario.paths import exists
from chatsim.scenario.recognise import is_yaml, leads_nowhere, look_at

__all__ = ["chat_clock", "chat_server", "chat_sim"]

_SHARED: Final = pytest.StashKey[Path]()
"""The folder in which the workers of xdist leave what they have played, in the process that started them."""

_PASSED: Final = pytest.StashKey[set[Path]]()
"""The files that were passed over, of each of which it is said once."""

_WORKER_INPUT: Final = "chatsim_shared"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options, in a group of their own."""
    group = parser.getgroup("chatsim", "chatsim: scenarios as tests")
    group.addoption(
        "--chatsim-on",
        metavar="WIRE,...",
        help=f"Wires on which scenarios are played, out of {','.join(WIRES)} (default: sim).",
    )
    group.addoption("--chatsim-seed", metavar="N", help="Replaces the seed of every scenario.")
    group.addoption(
        "--chatsim-replications",
        metavar="N|auto",
        help="Judges over so many replications, with intervals; auto: until every expectation is decided.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Read the options. Raises pytest.UsageError for what they cannot be."""
    config.stash[Options.KEY] = Options.of(config)
    config.addinivalue_line("markers", f"{MARKER}: an expectation of a scenario file (chatsim)")
    config.pluginmanager.register(Judged(), "chatsim-judged")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove what the workers shared."""
    shared = config.stash.get(_SHARED, None)
    if shared is not None:
        shutil.rmtree(shared, ignore_errors=True)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of xdist where it shares what it has played."""
    config: pytest.Config = node.config
    if _SHARED not in config.stash:
        config.stash[_SHARED] = Path(tempfile.mkdtemp(prefix="chatsim-pytest-"))
    node.workerinput[_WORKER_INPUT] = str(config.stash[_SHARED])


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A scenario file is collected, any other is left alone; of one that may have been meant as a scenario it is said.

    Whoever names such a file on the command line means it, and is told what is wrong with it.
    """
    if not is_yaml(file_path):
        return None
    is_scenario, lacks = look_at(file_path)
    if (is_scenario or lacks) and _is_found_elsewhere(file_path, parent):
        return None
    if lacks and not parent.session.isinitpath(file_path):
        # pytest asks about the neighbours of a file that was named too, and of each such file anew.
        if any(map(parent.session.isinitpath, file_path.parents)):
            _pass_over(file_path, lacks, parent.config)
        return None
    if not is_scenario and not lacks:
        return None
    return _collected(file_path, parent)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Collect what a folder has by a scenario's name and without a file behind it, too: pytest asks nobody about that,
    and so it would look as if it were not there."""
    report = yield
    if isinstance(collector, pytest.Directory) and report.passed and report.result is not None:
        ask = collector.ihook.pytest_ignore_collect
        for path in _empty_links(collector.path):
            ignored = ask(collection_path=path, config=collector.config)
            if not ignored and not _is_found_elsewhere(path, collector):
                report.result.append(_collected(path, collector))
    return report


def _is_found_elsewhere(path: Path, parent: pytest.Collector) -> bool:
    """Whether pytest, which follows every link and knows no loop, has this file by a way without links, or with fewer
    rounds, too; whoever names it means it."""
    is_named = parent.session.isinitpath
    real = Path(realpath(path)) if exists(path) else Path(realpath(path.parent), path.name)
    if real == path or is_named(path):
        return False
    tops = [folder for folder in path.parents if is_named(folder)]
    ways = [realpath(folder) for folder in path.parents if any(map(folder.is_relative_to, tops))]
    if len(set(ways)) < len(ways):
        return True
    ask = parent.ihook.pytest_ignore_collect
    for top in filter(is_named, real.parents):
        below = [place for place in (real, *real.parents) if top in place.parents]
        if not any(ask(collection_path=place, config=parent.config) for place in below):
            return True
    return False


def _empty_links(folder: Path) -> list[Path]:
    """What in a folder is called YAML, and is a link to nothing."""
    try:
        with os.scandir(folder) as entries:
            links = sorted(Path(entry.path) for entry in entries if entry.is_symlink())
    except OSError:
        # Of a folder that it cannot list pytest has said so.
        return []
    return [path for path in links if is_yaml(path) and leads_nowhere(path)]


def _collected(file_path: Path, parent: pytest.Collector) -> pytest.Collector:
    """It as a scenario file, right or wrong."""
    from chatsim.pytest_plugin.collecting import ScenarioFile
    from chatsim.pytest_plugin.playing import Plays

    config = parent.config
    if Plays.KEY not in config.stash:
        told: dict[str, Any] | None = getattr(config, "workerinput", None)
        config.stash[Plays.KEY] = Plays(
            shared=Path(told[_WORKER_INPUT]) if told else None,
            # The workers are the processes already.
            jobs=1 if told else -1,
        )
    return ScenarioFile.from_parent(parent, path=file_path)


def _pass_over(path: Path, lacks: str, config: pytest.Config) -> None:
    """Warn of a file that is nearly a scenario. Where warnings are errors, it is no error all the same: it may be that
    of another program."""
    told: dict[str, Any] | None = getattr(config, "workerinput", None)
    # Every worker of xdist collects all there is.
    if told is not None and told["workerid"] != "gw0":
        return
    passed = config.stash.setdefault(_PASSED, set())
    if path in passed:
        return
    passed.add(path)
    here = Path.cwd()
    shown = path.relative_to(here) if path.is_relative_to(here) else path
    said = pytest.PytestCollectionWarning(f"chatsim: passed over: {shown} {lacks}")
    try:
        warnings.warn_explicit(said, None, str(path), 1)
    except pytest.PytestCollectionWarning:
        message = warnings.WarningMessage(said, type(said), str(path), 1)
        config.hook.pytest_warning_recorded.call_historic(
            kwargs={"warning_message": message, "nodeid": "", "when": "collect", "location": None}
        )
