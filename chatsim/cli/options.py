"""What several commands are told in the same words: the options, and what is made of their texts.

Decides how a text of the command line becomes a number, a change or a grid. Rule: an option has one name, one meaning
and one sentence of help in every command; what cannot be is refused in one sentence that names the option.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

import typer

from chatsim.cli.output import say
from chatsim.errors import UsageError
from chatsim.scenario import units

File = Annotated[Path, typer.Argument(metavar="FILE", help="A scenario file, or the name of a shipped one.")]
Paths = Annotated[
    list[Path] | None,
    typer.Argument(metavar="PATH", help="Files, folders and names of shipped ones; nothing: all shipped ones."),
]
Seed = Annotated[
    int | None, typer.Option("--seed", metavar="N", min=0, max=units.SEED_MAX, help="Replaces the scenario's seed.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Jobs = Annotated[int, typer.Option("--jobs", metavar="J", help="How many processes play; -1 is one a processor.")]
Virtual = Annotated[str, typer.Option("--on", metavar="sim|virtual", help="Which wire, both in virtual time.")]
Wires = Annotated[str, typer.Option("--on", metavar="WIRE,...", help="Wires with commas between: sim, virtual, live.")]
Fidelity = Annotated[
    str,
    typer.Option(
        "--fidelity", metavar="full|flow", help="flow: the simulation without handler code, for millions of users."
    ),
]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Change it: handler.rate_limit=30/min.")
]
Changes = Annotated[
    list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Change B: handler.rate_limit=30/min.")
]
Grid = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=V,V,...", help="A path and its values: handler.rate_limit=30/min,60/min."),
]
Metrics = Annotated[
    list[str] | None,
    typer.Option("--metric", metavar="NAME", help="A number: lost, or 'p99(delivery_latency, group=mobile)'."),
]


def paths(given: Sequence[Path] | None, verb: str) -> Sequence[Path]:
    """The paths as they were given; where there are none, it is said on stderr whose scenarios are meant, and how one's
    own are.
    """
    if given:
        return given
    from chatsim.scenario.load import shipped

    folder, own = shipped(), Path("scenarios")
    more = f"; your own: chatsim {verb} {own}" if own.is_dir() and not own.samefile(folder) else ""
    say(f"chatsim: no path was given, so these are the shipped scenarios, of {folder}{more}")
    return ()


REPLICATIONS_MAX: Final = 10**9
"""More are not waited for by anybody."""

OwnWire: TypeAlias = Literal["sim", "virtual", "live"]


def wire(text: str) -> OwnWire:
    """The wire of that name."""
    if text == "sim":
        return "sim"
    if text == "virtual":
        return "virtual"
    if text == "live":
        return "live"
    raise UsageError(f"--on {text}: there is no such wire; say sim, virtual or live")


def wires(text: str) -> list[OwnWire]:
    """Several of them, each once."""
    return list(dict.fromkeys(wire(name.strip()) for name in text.split(",")))


def number(text: str) -> int | Literal["auto"]:
    """How many replications."""
    if text == "auto":
        return "auto"
    found = units.whole(text, 2, REPLICATIONS_MAX)
    if found is None:
        said = f"--replications {units.shortened(text)}: give a whole number of at least 2, or auto"
        raise UsageError(f"{said}; {REPLICATIONS_MAX} are the most")
    return found


def share(text: str) -> float:
    """How narrow an interval shall be."""
    try:
        found = units.share(text)
    except ValueError as problem:
        raise UsageError(f"--until {text}: {problem}") from None
    if not 0 < found < 1:
        raise UsageError(f"--until {text}: give a share between 0% and 100%, such as 5%")
    return found


def check_jobs(jobs: int) -> None:
    """Raise UsageError for no process at all."""
    if jobs == 0:
        raise UsageError("--jobs 0: give the number of processes, or -1 for one a processor")


def changes(texts: Sequence[str]) -> dict[str, Any]:
    """Paths of a scenario and their new values, which are what a file would say, in the order in which they were said
    last: a mapping or a list is one in YAML, or JSON, in brackets."""
    found: dict[str, Any] = {}
    for text, path, value in map(_parts, texts):
        found.pop(path, None)
        found[path] = _value(text, value)
    return found


def grid(texts: Sequence[str]) -> dict[str, list[Any]]:
    """Paths of a scenario and the values that each shall have; a comma within brackets divides nothing."""
    found: dict[str, list[Any]] = {}
    for text, path, value in map(_parts, texts):
        if path in found:
            raise UsageError(f"--set {text}: {path} has values already; say them all at once, with commas between")
        found[path] = _value(text, f"[{value}]")
    return found


def _parts(text: str) -> tuple[str, str, str]:
    path, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--set {text}: write a path, an equals sign and a value, such as handler.rate_limit=30/min")
    return text, path, value


def _value(text: str, value: str) -> Any:
    from chatsim.scenario.yaml import YamlError, parse_yaml

    name = f"--set {text.partition('=')[0]}"
    try:
        found = parse_yaml(value, name, may_be_empty=True)
        if found.problems:
            raise YamlError(name, [*found.problems])
    except YamlError as problem:
        raise UsageError(f"{problem}") from None
    return found.value
