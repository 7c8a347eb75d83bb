"""What the node's event loop spends on each kind of work, in seconds: the words of `costs:`.

Decides the shipped default numbers and reads others, given in the scenario or in a file that a calibration wrote.
Rule: every cost is time during which the one event loop does nothing else. How costs are spent is the simulation's
affair.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from chatsim.scenario import units
from chatsim.scenario.distributions import Constant, Distribution
from chatsim.scenario.faults import Fault, FaultsError, did_you_mean
from chatsim.scenario.reading import find_file, read_distribution

WORDS: Final = ("frame", "verify", "tls_handshake", "recipient", "write", "append", "ping")


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of the event loop for each kind of work, as distributions.

    The defaults are orders of magnitude measured on CPython 3.11, one core (HS256 verification 55 us, one `send` 8-11
    us); a calibration replaces them by those of the machine at hand.
    """

    frame: Distribution = Constant(value=20e-6)
    verify: Distribution = Constant(value=60e-6)
    tls_handshake: Distribution = Constant(value=1e-3)
    recipient: Distribution = Constant(value=1e-6)
    write: Distribution = Constant(value=10e-6)
    append: Distribution = Constant(value=5e-6)
    ping: Distribution = Constant(value=8e-6)

    @property
    def is_free(self) -> bool:
        """Whether no work costs anything."""
        return all(getattr(self, word) == Constant(value=0.0) for word in WORDS)


def free() -> Costs:
    """A node whose work takes no time."""
    return Costs(**dict.fromkeys(WORDS, Constant(value=0.0)))


def read_costs(value: object, folder: Path | None = None) -> Costs:
    """Costs out of `default`, 0, a path, or a mapping of costs; what a mapping leaves out keeps its default.

    Raises FaultsError with paths inside `value`.
    """
    if value == "default":
        return Costs()
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if value == 0:
            return free()
        raise FaultsError([((), f"{value} is no cost: write 0 for a free node, default, a file, or each cost by name")])
    if isinstance(value, str):
        return _from_file(value, folder)
    if not isinstance(value, Mapping):
        raise FaultsError([((), "should be default, 0, a file written by a calibration, or a mapping of costs")])
    return _from_mapping(value, folder)


def _from_mapping(value: Mapping[str, object], folder: Path | None) -> Costs:
    """Costs by name."""
    found: list[Fault] = []
    read: dict[str, Distribution] = {}
    for word, given in value.items():
        if word not in WORDS:
            found.append(((word,), f"unknown cost {word!r}{did_you_mean(word, WORDS)}"))
            continue
        try:
            read[word] = read_distribution(given, units.duration, folder)
        except FaultsError as faults:
            found.extend(((word, *path), text) for path, text in faults.found)
    if found:
        raise FaultsError(found)
    return Costs(**read)


def _from_file(name: str, folder: Path | None) -> Costs:
    """Costs out of a YAML or JSON file: the same words, at the top or under `costs`."""
    # Imported here because `load` imports this module, and files of costs are rare.
    from chatsim.scenario.yaml import YamlError, read_yaml

    try:
        path = find_file(name, folder)
    except FaultsError:
        hint = did_you_mean(name, ("default",)) if len(name) < 12 else ""
        raise FaultsError([((), f"{name} is neither `default` nor a file beside the scenario{hint}")]) from None
    try:
        document = read_yaml(path)
    except YamlError as error:
        raise FaultsError([((), str(error))]) from None
    if document.problems:
        raise FaultsError([((), str(YamlError(str(path), list(document.problems))))])
    value = document.value
    if isinstance(value, dict) and "costs" in value:
        value = value["costs"]
    if not isinstance(value, dict):
        raise FaultsError([((), f"{path} should be a mapping of costs: {', '.join(WORDS)}")])
    try:
        return _from_mapping(value, path.parent)
    except FaultsError as faults:
        raise FaultsError([((), f"{path}: {text}") for text in str(faults).splitlines()]) from None
