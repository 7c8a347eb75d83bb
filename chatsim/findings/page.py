"""Findings as one HTML page, for the artefacts of a CI job.

Decides how it looks. Rule: one file, without a script and without anything from elsewhere, so that it can be opened
wherever it was copied to; what is bad stands first.
"""

from __future__ import annotations

from html import escape
from typing import Final

from chatsim.findings.finding import Finding, Findings
from chatsim.store.document import cell

_COLUMNS: Final = ("scenario", "wire", "expectation", "observed", "limit", "n", "seed", "verdict", "where", "again")

_STYLE: Final = """
body { font: 14px/1.4 system-ui, sans-serif; margin: 2em; color: #1a1a1a; background: #ffffff }
table { border-collapse: collapse }
th, td { text-align: left; padding: 0.3em 0.8em; border-bottom: 1px solid #d0d0d0; vertical-align: top }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
tr.fail td.verdict, tr.error td.verdict { color: #b00020; font-weight: bold }
tr.inconclusive td.verdict { color: #8a5a00; font-weight: bold }
tr.pass td.verdict { color: #1b6e2d }
code { font-size: 12px }
"""


def page(findings: Findings) -> str:
    """The page; exact values stand in the titles of what is rounded for people."""
    counts = ", ".join(f"{count} {verdict}" for verdict, count in findings.counts.items() if count)
    head = "".join(f"<th>{name}</th>" for name in _COLUMNS)
    rows = "\n".join(_row(finding) for finding in findings.worst_first)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8"><title>chatsim: '
        f"{escape(findings.verdict)}</title><style>{_STYLE}</style></head>\n"
        f"<body>\n<h1>{escape(findings.verdict)}</h1>\n<p>{escape(counts or 'nothing was run')}</p>\n"
        f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>\n</body>\n</html>\n"
    )


def _row(finding: Finding) -> str:
    judged = not finding.in_words
    observed, limit, n = finding.shown if judged else ("", "", "")
    why = f" ({finding.why})" if judged and finding.why else ""
    cells = [
        _cell(finding.scenario),
        _cell(finding.wire),
        _cell(finding.expectation if judged else f"{finding.expectation} {finding.why}"),
        _number(observed, finding.observed if judged else None),
        _number(limit, finding.limit if judged else None),
        _number(n, finding.n if judged else None),
        _cell(cell(finding.seed)),
        _cell(f"{finding.verdict}{why}", "verdict"),
        _cell(finding.where),
        f"<td><code>{escape(finding.again)}</code></td>",
    ]
    return f'<tr class="{finding.verdict}">{"".join(cells)}</tr>'


def _cell(text: str, kind: str = "") -> str:
    marked = f' class="{kind}"' if kind else ""
    return f"<td{marked}>{escape(text.strip())}</td>"


def _number(shown: str, value: float | None) -> str:
    title = "" if value is None else f' title="{escape(cell(value))}"'
    return f'<td class="number"{title}>{escape(shown)}</td>'
