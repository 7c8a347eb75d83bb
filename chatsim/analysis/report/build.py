"""A report: one page that stands alone, of one run or of several beside each other.

Decides what is on it and in which order: verdicts first, then the question, what it means, and what it rests on. Rule:
the same runs give the same bytes; every name is text and never markup; nothing of the machine is in it.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from chatsim.analysis.kept import KeptResult
from chatsim.analysis.report import figures, sentences, tables
from chatsim.analysis.report.figures import Picture
from chatsim.analysis.results import Run
from chatsim.journal.lives import is_elsewhere
from chatsim.store.document import plain
from chatsim.store.folder import safe_name
from chatsim.verdict.wires import again_words

TEMPLATE = Path(__file__).with_name("page.html")


def page(results: Sequence[KeptResult]) -> str:
    """The report as HTML."""
    template = environment().from_string(TEMPLATE.read_text(encoding="utf-8"))
    return f"{template.render(_content(results))}\n"


def title_of(results: Sequence[KeptResult]) -> str:
    """What the report is of."""
    names = list(dict.fromkeys(result.scenario for result in results))
    shown = ", ".join(printable(name)[:80] for name in names[:3])
    return f"chatsim: {shown}{f' and {len(names) - 3} more' if len(names) > 3 else ''}"


def together(results: Sequence[KeptResult]) -> Iterator[tuple[str, list[tuple[str, KeptResult]]]]:
    """The scenarios with several runs, and those runs by name."""
    for scenario in dict.fromkeys(result.scenario for result in results):
        same = [result for result in results if result.scenario == scenario]
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


def _content(results: Sequence[KeptResult]) -> dict[str, Any]:
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


def _run(result: KeptResult, drawn: Any) -> dict[str, Any]:
    run = Run(result, None)
    words = without_paths(result.words)
    broken = [judged.text for judged in result.expectations if judged.verdict not in ("pass", "skipped")]
    asked = [judged for judged in result.expectations if judged.verdict != "skipped"]
    elsewhere = is_elsewhere(result.wire)
    series = None if elsewhere else run.series
    requirements = words.get("requirements")
    return {
        "scenario": result.scenario,
        "wire": result.wire,
        "seed": result.seed,
        "verdict": result.verdict,
        "held": len(asked) - len(broken),
        "promised": len(asked),
        "skipped": len(result.expectations) - len(asked),
        "broken": broken,
        "why_invalid": without_path(result.why_invalid, result),
        "description": words.get("description") or "The scenario does not say what it asks.",
        "requirements": ", ".join(map(str, requirements)) if isinstance(requirements, list) else "",
        "promises": tables.promises(result),
        "meaning": [without_path(text, result) for text in sentences.meaning(result)],
        "faults": tables.faults(result),
        "pictures": drawn(figures.of_run(run, result)),
        "metrics": tables.metrics(result),
        "counters": tables.counters(result),
        "series": None if series is None else tables.link(list(series.columns), series.to_numpy().tolist()),
        "assumptions": sentences.assumptions(result),
        "not_modelled": sentences.NOT_MODELLED.get(
            sentences.ELSEWHERE if elsewhere else result.wire, "what its wire leaves out"
        ),
        "source": Markup(source(words)) if words else "",
        "file": file_of(result),
        "again": again(result),
        "trace_hash": result.trace_hash,
        "same": result.wire != "live" and not elsewhere,
    }


def file_of(result: KeptResult) -> str:
    """The name under which the scenario is to be saved: JSON is YAML too."""
    return f"{safe_name(result.scenario)}.{'json' if result.words else 'yaml'}"


def again(result: KeptResult) -> str:
    """The command that plays it again."""
    wire = "".join(f" {shlex.quote(word)}" for word in again_words(result.wire))
    # What its tokens are signed with is in no result.
    key = " --secret-file FILE" if is_elsewhere(result.wire) else ""
    return f"chatsim run {file_of(result)}{wire}{key} --seed {result.seed}"


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
