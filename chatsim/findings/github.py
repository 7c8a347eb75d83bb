"""Findings as GitHub Actions shows them: annotations in the log, and a table in the summary of the step.

Decides what is left out where there is too much. Rule: GitHub keeps 10 errors of a step and drops the others in
silence, and refuses a summary over 1 MiB: so what is left out is counted here, and what is bad comes first. Where the
text goes is the command line's.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from chatsim.findings.finding import Finding, Findings, relative
from chatsim.scenario.load import Notice

ANNOTATIONS_MAX: Final = 10
"""Errors and warnings of one step that GitHub shows."""

SUMMARY_BYTES_MAX: Final = 1024 * 1024 - 1024
"""A summary of a step may have 1 MiB; some of it is left for the newline of whoever writes next."""

_COLUMNS: Final = ("verdict", "scenario", "wire", "expectation", "observed", "limit", "n", "where")


def annotated(findings: Findings, root: Path | None = None, notices: Sequence[Notice] = ()) -> list[str]:
    """The lines, at most `ANNOTATIONS_MAX`, the last of them saying how many more there are; `notices`, which fail
    nothing, come after what was found.

    Files are named as seen from `root`, the checkout, because GitHub knows no other.
    """
    told: list[Finding | Notice] = [*findings.told, *notices]
    if len(told) <= ANNOTATIONS_MAX:
        return [_annotation(each, root) for each in told]
    kept, rest = told[: ANNOTATIONS_MAX - 1], told[ANNOTATIONS_MAX - 1 :]
    # What was noticed is no finding, which the summary has alone.
    where = "in the log" if notices else "in the summary of this step and in the log"
    more = f"and {len(rest)} more: all of them are {where}"
    # The first of the rest is the worst of them.
    return [*(_annotation(each, root) for each in kept), f"::{_level(rest[0])} title=chatsim::{_data(more)}"]


def _annotation(told: Finding | Notice, root: Path | None) -> str:
    places = []
    if told.file:
        file = told.file if root is None else relative(Path(told.file), root)
        places = [f"file={_property(file)}", f"line={max(1, told.line)}"]
    if isinstance(told, Notice):
        title, sentence = "chatsim", told.text
    else:
        places += [f"col={told.column}"] if told.file and told.column else []
        title = f"{told.scenario} ({told.wire})" if told.wire else told.scenario
        sentence = told.sentence
    return f"::{_level(told)} {','.join([*places, f'title={_property(title)}'])}::{_data(sentence)}"


def _level(told: Finding | Notice) -> str:
    """What has gone fails nothing, and neither does what was noticed."""
    return "warning" if isinstance(told, Notice) or told.gone else "error"


def _data(text: str) -> str:
    """The escapes of a workflow command's message."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """Those of its properties."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def summary(findings: Findings, bytes_max: int = SUMMARY_BYTES_MAX) -> str:
    """The table in Markdown, in at most so many bytes of UTF-8; rows that find no room are counted. Nothing where not
    even that has room."""
    counts = ", ".join(f"{count} {verdict}" for verdict, count in findings.counts.items() if count)
    head = [f"### chatsim: {findings.verdict}", "", counts or "nothing was run", ""]
    head += [f"| {' | '.join(_COLUMNS)} |", f"|{' --- |' * len(_COLUMNS)}"]
    rows = [_row(finding) for finding in findings.worst_first]
    size = _bytes(head) + _bytes([_left_out(len(rows))])
    kept = []
    for row in rows:
        size += _bytes([row])
        if size > bytes_max:
            break
        kept.append(row)
    if size > bytes_max and not kept:
        return ""
    more = [_left_out(len(rows) - len(kept))] if len(kept) < len(rows) else []
    return "\n".join([*head, *kept, *more]) + "\n"


def _left_out(rows: int) -> str:
    return f"\n{rows} more {'row is' if rows == 1 else 'rows are'} left out: a summary has at most 1 MiB."


def _bytes(lines: Sequence[str]) -> int:
    return sum(len(line.encode("utf-8", "replace")) + 1 for line in lines)


def _row(finding: Finding) -> str:
    judged = not finding.in_words
    cells = [
        f"{finding.verdict} ({finding.why})" if judged and finding.why else finding.verdict,
        finding.scenario,
        finding.wire,
        finding.expectation if judged else f"{finding.expectation} {finding.why}".strip(),
        *(finding.shown if judged else ("", "", "")),
        finding.where,
    ]
    return f"| {' | '.join(_markdown(cell) for cell in cells)} |"


def _markdown(text: str) -> str:
    """Text in which GitHub finds neither a cell's end nor markup of its own."""
    return " ".join(text.split()).translate(_ESCAPES)


_ESCAPES: Final = {ord(mark): f"&#{ord(mark)};" for mark in "&<>\\`*_[]|~#@"}
