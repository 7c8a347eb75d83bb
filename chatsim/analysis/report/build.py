"""A report: one page that stands alone, of one run, of several beside each other, or of many judged together.

Decides what is on it and in which order: verdicts first, then the question, what it means, and what it rests on. Rule:
the same runs give the same bytes; every name is text and never markup; nothing of the machine is in it.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, TypeAlias

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from chatsim.analysis.kept import KeptRepeated, KeptResult
from chatsim.analysis.report import figures, repeated, sentences, tables
from chatsim.analysis.report.figures import Picture
from chatsim.analysis.results import Run
from chatsim.journal.lives import is_elsewhere
from chatsim.scenario.units import beside
from chatsim.store.document import plain
from chatsim.store.folder import safe_name
from chatsim.verdict.wires import again_words

Kept: TypeAlias = KeptResult | KeptRepeated
"""What a report can be of."""

TEMPLATE = Path(__file__).with_name("page.html")


def page(results: Sequence[Kept]) -> str:
    """The report as HTML."""
    template = environment().from_string(TEMPLATE.read_text(encoding="utf-8"))
    return f"{template.render(_content(results))}\n"


def title_of(results: Sequence[Kept]) -> str:
    """What the report is of."""
    names = list(dict.fromkeys(result.scenario for result in results))
    shown = ", ".join(printable(name)[:80] for name in names[:3])
    return f"chatsim: {shown}{f' and {len(names) - 3} more' if len(names) > 3 else ''}"


def together(results: Sequence[Kept]) -> Iterator[tuple[str, list[tuple[str, KeptResult]]]]:
    """The scenarios with several runs, and those runs by name."""
    # Of many that were judged together there are no rows to be drawn beside each other.
    runs = [result for result in results if isinstance(result, KeptResult)]
    for scenario in dict.fromkeys(result.scenario for result in runs):
        same = [result for result in runs if result.scenario == scenario]
        if len(same) > 1:
            yield scenario, list(zip(figures.names(same), same, strict=True))


def several(named: Sequence[tuple[str, KeptResult]]) -> Iterator[Picture]:
    """The pictures of several runs of one scenario."""
    runs = {name: Run(result, None) for name, result in named}
    yield from figures.of_several(runs, figures.limit_of(named[0][1]))


def printable(text: str) -> str:
    """A text on one line, without letters that show nothing or turn the direction of others."""
    return "".join(letter if letter.isprintable() else " " if letter in "\t\n\r" else "\ufffd" for letter in text)


def coded(text: str) -> Markup:
    """A sentence in which what stands between backticks is code."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(Markup.escape(printable(text)))))


def environment() -> Environment:
    """What templates of reports are filled in by: all that is not markup is text."""
    folder = Path(__file__).parent
    made = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
    )
    made.filters["coded"] = coded
    # All reports look alike.
    made.globals["style"] = Markup((folder / "style.css").read_text(encoding="utf-8").strip())
    return made


def facts(result: Kept) -> dict[str, Any]:
    """What a report says of it in words and numbers, whatever it is written on: all but pictures and rows."""
    words = without_paths(result.words)
    requirements = words.get("requirements")
    return {
        "scenario": result.scenario,
        "wire": result.wire,
        "seed": result.seed,
        "verdict": result.verdict,
        "count": _count(result),
        "broken": [
            *(f"invariant {each.name}" for each in result.violations),
            *(each.text for each in result.expectations if each.verdict == "fail"),
        ],
        "undecided": [each.text for each in result.expectations if each.verdict == "inconclusive"],
        "description": words.get("description") or "The scenario does not say what it asks.",
        "requirements": ", ".join(map(str, requirements)) if isinstance(requirements, list) else "",
        "assumptions": sentences.assumptions(result),
        "not_modelled": sentences.not_modelled(result.wire),
        "source": Markup(source(words)) if words else "",
        "file": file_of(result),
        "again": again(result),
        **(_of_many(result) if isinstance(result, KeptRepeated) else _of_one(result)),
    }


def _of_one(result: KeptResult) -> dict[str, Any]:
    return {
        "of": f"seed {result.seed}",
        "why_invalid": without_path(result.why_invalid, result),
        "promises": tables.promises(result),
        "lines": [
            (
                each.verdict,
                each.text if each.why else f"{each.text}: {beside(each.observed, each.limit, each.unit)}",
            )
            for each in result.expectations
        ],
        "meaning": [without_path(text, result) for text in sentences.meaning(result)],
        "faults": tables.faults(result),
        "numbers": [tables.metrics(result), tables.counters(result)],
        "trace_hash": result.trace_hash,
        "same": result.wire != "live" and not is_elsewhere(result.wire),
    }


def _of_many(result: KeptRepeated) -> dict[str, Any]:
    return {
        "of": f"{result.replications} runs from seed {result.seed}",
        "why_invalid": "",
        "promises": repeated.promises(result),
        "lines": [(each.verdict, f"{each.text}: {repeated.shown(each)}") for each in result.expectations],
        "meaning": repeated.meaning(result),
        "faults": None,
        "numbers": [repeated.numbers(result)],
        "trace_hash": "",
        "same": True,
    }


def _count(result: Kept) -> str:
    """How many promises hold of those that were judged, and what became of the rest."""
    verdicts = [each.verdict for each in result.expectations]
    skipped, undecided = verdicts.count("skipped") + verdicts.count("invalid"), verdicts.count("inconclusive")
    if skipped == len(verdicts):
        return "No promise was judged."
    more = f", {undecided} not decided" if undecided else ""
    more += f", {skipped} not judged" if skipped else ""
    return f"{verdicts.count('pass')} of {len(verdicts) - skipped} promises hold{more}."


def _content(results: Sequence[Kept]) -> dict[str, Any]:
    number = 0

    def drawn(pictures: Iterator[Picture]) -> list[dict[str, str]]:
        nonlocal number
        found = []
        for picture in pictures:
            number += 1
            found.append({"title": picture.title, "svg": Markup(figures.svg(picture, number))})
        return found

    return {
        "title": title_of(results),
        "together": [
            {
                "scenario": scenario,
                "count": len(named),
                "pictures": drawn(several(named)),
                "table": tables.beside(named),
            }
            for scenario, named in together(results)
        ],
        "runs": [_run(result, drawn) for result in results],
    }


def _run(result: Kept, drawn: Any) -> dict[str, Any]:
    found = facts(result)
    if isinstance(result, KeptRepeated):
        return {**found, "pictures": [], "series": None}
    run = Run(result, None)
    # What happened second by second stands in a journal, and there is none of somebody else's server.
    series = None if is_elsewhere(result.wire) else run.series
    return {
        **found,
        "pictures": drawn(figures.of_run(run, result)),
        "series": None if series is None else tables.link(list(series.columns), series.to_numpy().tolist()),
    }


def file_of(result: Kept) -> str:
    """The name under which the scenario is to be saved: JSON is YAML too."""
    return f"{safe_name(result.scenario)}.{'json' if result.words else 'yaml'}"


def again(result: Kept) -> str:
    """The command that plays it again."""
    wire = "".join(f" {shlex.quote(word)}" for word in again_words(result.wire))
    # What its tokens are signed with is in no result.
    key = " --secret-file FILE" if is_elsewhere(result.wire) else ""
    many = ""
    if isinstance(result, KeptRepeated):
        many = f" --replications {'auto' if result.auto else result.replications}"
    return f"chatsim run {file_of(result)}{wire}{key}{many} --seed {result.seed}"


def without_paths(words: Any) -> Any:
    """The words of a scenario, with files of this machine named by their last part."""
    if isinstance(words, Mapping):
        return {key: without_paths(value) for key, value in words.items()}
    if isinstance(words, list):
        return [without_paths(value) for value in words]
    if isinstance(words, str) and PurePosixPath(words).is_absolute():
        return PurePosixPath(words).name
    if isinstance(words, str) and PureWindowsPath(words).is_absolute():
        return PureWindowsPath(words).name
    return words


def without_path(text: str, result: KeptResult) -> str:
    """A sentence without the run's own folder."""
    if result.path is None:
        return text
    return text.replace(f"{result.path.resolve()}", "the run's folder").replace(f"{result.path}", "the run's folder")


def source(words: Mapping[str, Any]) -> str:
    """The scenario as JSON, ready to stand in a page: what is no letter is written as JSON escapes it."""
    text = json.dumps(plain(words), indent=2, ensure_ascii=True, allow_nan=False)
    return str(Markup.escape(text))
