"""YAML text with the place of every value, and values as YAML text.

Decides what a scenario file may consist of: one document of mappings, lists and plain scalars in YAML 1.2. Rule:
every mistake of a person has a line and a column, and all duplicate keys are found at once; what is written is read
back as it was. What the values mean is decided elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from io import StringIO
from pathlib import Path as FilePath
from typing import Any, Final, NamedTuple

from chatsim.scenario.faults import Path

VALUES_MAX: Final = 100_000
"""More values than this in one file are an alias that multiplies itself."""

BYTES_MAX: Final = 16 * 1024 * 1024

_TAG: Final = "tag:yaml.org,2002:"


class Place(NamedTuple):
    """A line and a column, counted from 1."""

    line: int
    column: int


class YamlProblem(NamedTuple):
    """What is wrong in the text, where, and under which path."""

    place: Place
    path: Path
    text: str


class YamlError(Exception):
    """The text is no YAML document at all; `problems` says where."""

    def __init__(self, file: str, problems: list[YamlProblem]) -> None:
        self.problems = problems
        super().__init__("\n".join(f"{file}:{p.place.line}:{p.place.column}: {p.text}" for p in problems))


class Document(NamedTuple):
    """Plain values (dict, list, str, int, float, bool, None) and the place of the key or item at each path.

    `problems` is what was wrong with the text and still left something to read: a duplicate key.
    """

    value: Any
    places: dict[Path, Place]
    problems: tuple[YamlProblem, ...] = ()

    def place(self, path: Path) -> Place:
        """Where a path stands, or the nearest thing above it that exists."""
        for length in range(len(path), -1, -1):
            found = self.places.get(path[:length])
            if found is not None:
                return found
        return Place(1, 1)


def read_yaml(path: FilePath, *, may_be_empty: bool = False) -> Document:
    """Read one file. Raises YamlError for whatever keeps it from being plain YAML, and for a file in which nothing is
    said unless it `may_be_empty`: its value is None then."""
    name = str(path)
    try:
        raw = path.read_bytes()
    except IsADirectoryError:
        raise YamlError(name, [_whole("is a folder: name a file, or let the folder be searched")]) from None
    except FileNotFoundError:
        link = "is a link to nothing: mend the link, or remove it"
        text = link if path.is_symlink() else "there is no such file: check the path"
        raise YamlError(name, [_whole(text)]) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise YamlError(name, [_whole(f"cannot be read ({reason}): check the path and its permissions")]) from None
    if len(raw) > BYTES_MAX:
        raise YamlError(name, [_whole(f"is larger than {BYTES_MAX} bytes, which no scenario is")])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        place = Place(before.count(b"\n") + 1, error.start - (before.rfind(b"\n") + 1) + 1)
        raise YamlError(name, [YamlProblem(place, (), "is not UTF-8: save the file as UTF-8")]) from None
    return parse_yaml(text, name, may_be_empty=may_be_empty)


def parse_yaml(text: str, name: str = "<text>", *, may_be_empty: bool = False) -> Document:
    """Parse one document. Raises YamlError, as `read_yaml` does."""
    # Imported late: most commands never read YAML.
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        node = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
        raise YamlError(name, [YamlProblem(place, (), f"is not YAML: {error.problem or error.context}")]) from None
    except (YAMLError, ValueError, RecursionError) as error:
        reason = "is nested too deeply" if isinstance(error, RecursionError) else str(error).splitlines()[0]
        raise YamlError(name, [_whole(f"is not YAML: {reason}")]) from None
    if node is None and may_be_empty:
        return Document(None, {})
    if node is None:
        raise YamlError(name, [_whole("is empty: a scenario needs name, duration, groups and expect")])
    builder = _Builder()
    try:
        value = builder.build(node, (), set())
    except RecursionError:
        raise YamlError(name, [_whole("is nested too deeply")]) from None
    return Document(value, builder.places, tuple(builder.problems))


def plain(value: Any) -> Any:
    """A value with nothing in it but what a file has: tuples are lists, and numbers of NumPy are numbers."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if hasattr(value, "item"):
        return value.item()
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def yaml_text(values: Mapping[str, Any]) -> str:
    """The document of a mapping, with its keys in their order."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 120
    into = StringIO()
    made = plain(values)
    yaml.dump(made, into)
    try:
        if parse_yaml(into.getvalue()).value == made:
            return into.getvalue()
    except YamlError:
        pass
    # The dumper breaks texts with rare letters, such as Unicode's next line; JSON is YAML too.
    return json.dumps(made, indent=2) + "\n"


def _whole(text: str) -> YamlProblem:
    return YamlProblem(Place(1, 1), (), text)


class _Builder:
    """Turns ruamel's node graph into plain values, and remembers where each stood."""

    def __init__(self) -> None:
        self.places: dict[Path, Place] = {}
        self.problems: list[YamlProblem] = []
        self._count = 0

    def build(self, node: Any, path: Path, above: set[int]) -> Any:
        """The value of a node; `above` holds the nodes it stands in, so that an alias to one of them is seen."""
        place = Place(node.start_mark.line + 1, node.start_mark.column + 1)
        self.places.setdefault(path, place)
        self._count += 1
        if id(node) in above or self._count > VALUES_MAX:
            if self._count <= VALUES_MAX + 1:
                self.problems.append(YamlProblem(place, path, "an alias contains itself, or multiplies without end"))
            return None
        if node.id == "scalar":
            return self._scalar(node, path, place)
        above.add(id(node))
        if node.id == "sequence":
            built: Any = [self.build(item, (*path, index), above) for index, item in enumerate(node.value)]
        else:
            built = self._mapping(node, path, above)
        above.discard(id(node))
        return built

    def _mapping(self, node: Any, path: Path, above: set[int]) -> dict[str, Any]:
        built: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            place = Place(key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            if key_node.id != "scalar":
                self.problems.append(YamlProblem(place, path, "a key should be a plain word"))
                continue
            key = str(key_node.value)
            if str(key_node.tag) == f"{_TAG}merge":
                for mapping in self._merged(value_node, path, above):
                    merged = {**mapping, **merged}
                continue
            inner = (*path, key)
            if key in built:
                first = self.places[inner]
                text = f"the key {key!r} is given twice, first in line {first.line}: keep one"
                self.problems.append(YamlProblem(place, inner, text))
                continue
            self.places[inner] = place
            built[key] = self.build(value_node, inner, above)
        return {**merged, **built}

    def _merged(self, node: Any, path: Path, above: set[int]) -> list[dict[str, Any]]:
        """The mappings that `<<` brings in, the first winning."""
        nodes = node.value if node.id == "sequence" else [node]
        built = [self.build(item, (*path, "<<"), above) for item in nodes]
        return [mapping for mapping in built if isinstance(mapping, dict)]

    def _scalar(self, node: Any, path: Path, place: Place) -> Any:
        tag, text = str(node.tag).removeprefix(_TAG), node.value
        try:
            if tag == "null":
                return None
            if tag == "bool":
                return text.lower() == "true"
            if tag == "int":
                return int(text.replace("_", ""), 0 if text.lstrip("+-")[:2].lower() in ("0x", "0o") else 10)
            if tag == "float":
                return float(text.replace("_", "").replace(".inf", "inf").replace(".nan", "nan"))
        except ValueError:
            self.problems.append(YamlProblem(place, path, f"{text[:40]!r} is no number"))
            return None
        if tag not in ("str", "timestamp"):
            self.problems.append(YamlProblem(place, path, f"the tag {node.tag} is not used here: leave it out"))
        return str(text)
