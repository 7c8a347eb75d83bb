"""From files to scenarios.

Decides where each fault stands, and which files a path names. Rule: all errors of all files at once, each as
`file:line:column: path: what is wrong`. What a scenario may say is decided by the models.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from os.path import realpath
from pathlib import Path
from typing import NamedTuple

from chatsim.core.config import HandlerConfig
from chatsim.errors import UsageError
from chatsim.scenario import faults as f
from chatsim.scenario.handler import handler_config
from chatsim.scenario.model import Scenario
from chatsim.scenario.paths import exists, is_folder, is_link
from chatsim.scenario.recognise import MARKS, is_there, is_yaml, look_at
from chatsim.scenario.requirements import strangers
from chatsim.scenario.yaml import Document, YamlError, YamlProblem, read_yaml


class Problem(NamedTuple):
    """One fault of one file; line and column count from 1."""

    file: str
    line: int
    column: int
    path: str
    text: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}: "
        return f"{where}{self.path}: {self.text}" if self.path else f"{where}{self.text}"


class Notice(NamedTuple):
    """What is no fault of a file, and yet may not be what was meant: that it was passed over; a line counts from 1."""

    file: str
    line: int
    text: str


class ScenarioErrors(UsageError):  # noqa: N818 - several errors are one exception
    """The problems of one or more files, one line each."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in problems))


def load(path: str | Path) -> Scenario:
    """The scenario of one file. Raises ScenarioErrors with every problem."""
    found, problems = load_all([path])
    if problems:
        raise ScenarioErrors(problems)
    return found[0]


def load_all(paths: Iterable[str | Path]) -> tuple[list[Scenario], list[Problem]]:
    """The scenarios of the files that are right, and every problem of the others, in the order of the paths."""
    scenarios: list[Scenario] = []
    problems: list[Problem] = []
    for path in map(Path, paths):
        try:
            scenarios.append(_read(path))
        except ScenarioErrors as errors:
            problems.extend(errors.problems)
    return scenarios, problems


def load_handler(path: str | Path) -> HandlerConfig:
    """The handler's configuration of a file in the words of `handler:`; where it says nothing, all is at its default.

    Raises ScenarioErrors with every problem.
    """
    document = _document(Path(path), may_be_empty=True)
    problems = [_problem(Path(path), problem) for problem in document.problems]
    try:
        config = handler_config(document.value if document.value is not None else {})
    except f.FaultsError as faults:
        problems += _placed(Path(path), faults, document)
        raise ScenarioErrors(_in_order(problems)) from None
    if problems:
        raise ScenarioErrors(problems)
    return config


def discover(
    paths: Iterable[str | Path] = (), *, passed_over: Callable[[Path, str], None] = lambda file, lacks: None
) -> list[Path]:
    """The scenario files among files and folders, each once however often and however it is named; without a path the
    shipped ones.

    A file named outright always counts, a file in a folder (at any depth) when it is one by `recognise`; where nothing
    goes by a plain name, a shipped scenario may. `passed_over` is told of each file in a folder that is nearly one, and
    what it lacks.
    Raises UsageError for a folder without any, for one that cannot be listed, and for a name of nothing.
    """
    given = [find(path) for path in paths] or [shipped()]
    # As they were named first, by where they really are.
    found: dict[str, Path] = {}
    nearly: dict[str, tuple[Path, str]] = {}
    for path in given:
        if not is_folder(path):
            found.setdefault(realpath(path), path)
            continue
        inside = {file: look_at(file) for file in _yaml_below(path)}
        scenarios = [file for file, look in inside.items() if look.is_scenario]
        lacks = {file: look.lacks for file, look in inside.items() if look.lacks}
        if not scenarios:
            needed = f"{', '.join(MARKS[:-1])} and {MARKS[-1]}"
            what = f"{path} holds no scenario: a scenario is a YAML file with {needed} at the top"
            raise UsageError("; ".join((what, *(f"{file} {each}" for file, each in lacks.items()))))
        for file in scenarios:
            found.setdefault(realpath(file), file)
        nearly |= {realpath(file): (file, each) for file, each in lacks.items()}
    for place, (file, each) in nearly.items():
        # Whoever names a file means it.
        if place not in found:
            passed_over(file, each)
    return list(found.values())


def _yaml_below(folder: Path) -> list[Path]:
    """Every YAML file in a folder, at any depth, and what may be one. Raises UsageError for a folder that cannot be
    listed."""
    shut: list[OSError] = []
    found = list(_names_below(folder, shut.append))
    if shut:
        # Whatever is in there would be passed over in silence.
        cure = "make it readable, or name files and other folders"
        told = sorted(f"{Path(problem.filename)} cannot be listed ({problem.strerror}): {cure}" for problem in shut)
        raise UsageError("\n".join(told))
    return [file for file in sorted(found) if is_yaml(file) and is_there(file)]


def _names_below(folder: Path, onerror: Callable[[OSError], None]) -> Iterator[Path]:
    """What is in a folder at any depth and is no folder, those that links lead to included: each once, by a way without
    links where there is one."""
    searched: set[str] = set()
    ways = [folder]
    while ways:
        links: list[Path] = []
        for way in ways:
            for place, folders, names in os.walk(way, onerror=onerror):
                real = realpath(place)
                if real in searched:
                    folders.clear()
                    continue
                searched.add(real)
                inside = (Path(place, name) for name in folders)
                links += (path for path in inside if is_link(path))
                yield from (Path(place, name) for name in names)
        ways = sorted(links)


def find(path: str | Path) -> Path:
    """The path as it is, or the file of the shipped scenario of that name, where it names nothing else.

    Raises UsageError with the nearest name for a plain name of neither.
    """
    given = Path(path)
    if exists(given) or is_yaml(given) or len(given.parts) != 1:
        return given
    names = _shipped()
    if given.name not in names:
        raise UsageError(f"there is no file and no shipped scenario {given}{f.did_you_mean(given.name, names)}")
    return names[given.name]


def shipped_name(path: Path) -> str | None:
    """The name by which `find` finds this file wherever one stands; None where it finds another one, or none."""
    try:
        return path.stem if _shipped().get(path.stem) == path else None
    except UsageError:
        return None


def _shipped() -> dict[str, Path]:
    """The files of the shipped scenarios by their names."""
    # Those for a flow stand apart, so that `check` does not play them in full.
    flows = Path(__file__).parents[1] / "flow"
    return {file.stem: file for file in (*discover(), *flows.glob("*.yaml"))}


def shipped() -> Path:
    """The folder of the scenarios that come with chatsim: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    inside = package / "_scenarios"
    beside = package.parent / "scenarios"
    if inside.is_dir():
        return inside
    if not beside.is_dir():
        raise UsageError(f"no scenarios were shipped with {package}: name a file or a folder")
    return beside


def _read(path: Path) -> Scenario:
    """One file's scenario; ScenarioErrors with all that is wrong."""
    document = _document(path)
    problems = [_problem(path, problem) for problem in document.problems]
    if not isinstance(document.value, dict):
        what = "is not a mapping: a scenario starts with keys like `name:`"
        raise ScenarioErrors([*problems, Problem(str(path), 1, 1, "", what)])
    lines = {at: place.line for at, place in document.places.items()}
    try:
        here = None if path.is_absolute() else Path.cwd()
        scenario = Scenario.of(document.value, folder=path.parent, path=path, seen_from=here, lines=lines)
    except f.FaultsError as faults:
        raise ScenarioErrors(_in_order(problems + _placed(path, faults, document))) from None
    if _is_shipped(path):
        unknown = f.FaultsError((("requirements", place), text) for place, text in strangers(scenario.requirements))
        problems += _placed(path, unknown, document)
    if problems:
        raise ScenarioErrors(_in_order(problems))
    return scenario


def _is_shipped(path: Path) -> bool:
    """Whether it is one of those that come with chatsim, whose requirements are of one closed vocabulary."""
    try:
        return path.resolve().is_relative_to(shipped().resolve())
    except UsageError:
        return False


def _document(path: Path, *, may_be_empty: bool = False) -> Document:
    """The file's YAML; ScenarioErrors when it is none."""
    try:
        return read_yaml(path, may_be_empty=may_be_empty)
    except YamlError as error:
        raise ScenarioErrors([_problem(path, problem) for problem in error.problems]) from None


def _problem(path: Path, problem: YamlProblem) -> Problem:
    return Problem(str(path), *problem.place, f.dotted(problem.path), problem.text)


def _placed(path: Path, faults: f.FaultsError, document: Document) -> list[Problem]:
    """The faults with the lines and columns of their paths; the same fault is said once."""
    found = [Problem(str(path), *document.place(at), f.dotted(at), text) for at, text in faults.found]
    return list(dict.fromkeys(found))


def _in_order(problems: list[Problem]) -> list[Problem]:
    """Problems as they stand in the file."""
    return sorted(problems, key=lambda problem: (problem.line, problem.column))
