"""The matrix of requirements as people read it: rows for a terminal, and one page of Markdown to be kept.

Decides how it looks. Rule: the page holds what was required, by which scenarios, and every value that was observed,
and nothing of when and on which machine: made anew, it differs only in what real sockets showed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from chatsim.findings.finding import Finding
from chatsim.findings.matrix import Matrix, Proof, Row
from chatsim.scenario.units import beside

_WIRES: Final = {
    "sim": "the handler, the clients and the network in SimPy; TLS is its time and its round trips",
    "virtual": "the asyncio server and its clients on a virtual clock, connections in memory; TLS is a round trip",
    "live": "a server process and real sockets on this machine, over TLS where the scenario wants it",
}

_MARKUP: Final = str.maketrans({"&": "&amp;", "<": "&lt;", "*": "&#42;", "_": "&#95;", "[": "&#91;"})

_HEAD: Final = (
    "# What was required, and what shows it\n\n"
    "Written by `make requirements`: every scenario that says in its `requirements:` what it carries, on each wire. "
    "A requirement holds where all of its scenarios pass as wholes; shown are the expectations that speak of it. "
    "On `sim` and `virtual` the same seed gives the same values to the last digit; "
    "those of `live` are what real sockets and clocks showed this time."
)


def rows(matrix: Matrix) -> Iterator[list[str]]:
    """A line for each requirement: its tag, what it is, its scenarios, what came of it on each wire, the verdict."""
    for row in matrix.rows:
        verdict = "fail" if row.gaps else "pass"
        told = [_told(row.on(wire)) for wire in matrix.wires]
        yield [_one_line(row.requirement), row.title, ", ".join(row.scenarios), *told, verdict]


def evidence(matrix: Matrix) -> Iterator[tuple[str, list[list[str]]]]:
    """Each requirement with its title, and a line for each of its scenarios on each wire: the two names, what decides
    (an expectation, or why there is none), what was observed, and the verdict on the scenario."""
    for row in matrix.rows:
        proofs = [_line(proof) for name in row.scenarios for proof in row.proofs if proof.scenario == name]
        why = "" if proofs else " (not shown on these wires)" if row.scenarios else " (no scenario carries it)"
        yield f"{_one_line(_title(row))}{why}", proofs


def _line(proof: Proof) -> list[str]:
    found = proof.decisive
    if found is not None:
        value = beside(found.observed, found.limit, found.unit)
        return [proof.scenario, proof.wire, found.expectation, value, proof.verdict]
    why = _one_line(proof.why) or "promises nothing about it that would not hold if nobody had come"
    return [proof.scenario, proof.wire, why, "", proof.verdict if proof.why else ""]


def markdown(matrix: Matrix) -> str:
    """The page, with a final newline."""
    lines = [_HEAD, ""]
    lines += [f"- `{wire}`: {_WIRES.get(wire, wire)}" for wire in matrix.wires]
    lines += ["", *_gaps(matrix), *_table(("requirement", "what it is", "scenarios", *matrix.wires), _overview(matrix))]
    for row in matrix.rows:
        lines += ["", f"## {_plain(_title(row))}", "", *_evidence(row, matrix.wires)]
    return "\n".join(lines) + "\n"


def _gaps(matrix: Matrix) -> Iterator[str]:
    if not matrix.gaps:
        yield "There is no gap."
    else:
        yield f"**{len(matrix.gaps)} {'gap' if len(matrix.gaps) == 1 else 'gaps'}:**"
        yield ""
        yield from (f"- {_plain(gap)}" for gap in matrix.gaps)
    yield ""


def _overview(matrix: Matrix) -> Iterator[list[str]]:
    for tag, title, scenarios, *told, _ in rows(matrix):
        yield [f"**{_plain(tag)}**", title, _plain(scenarios), *told]


def _evidence(row: Row, wires: Sequence[str]) -> Iterator[str]:
    """A table of the expectations that speak of it: what each wire observed, beside the limit in its text."""
    if not row.scenarios:
        yield "No scenario carries it."
        return
    yield from _table(("scenario", "expectation", *wires), _values(row, wires))
    told = [proof for proof in row.proofs if proof.why]
    if told:
        yield ""
        yield from (f"- {_plain(proof.scenario)} on {proof.wire}: {_plain(proof.why)}" for proof in told)


def _values(row: Row, wires: Sequence[str]) -> Iterator[list[str]]:
    for scenario in row.scenarios:
        found: dict[str, dict[str, str]] = {}
        for proof in row.proofs:
            if proof.scenario == scenario:
                for finding in proof.evidence:
                    found.setdefault(finding.expectation, {})[proof.wire] = _value(finding)
        for text, values in found.items():
            yield [_plain(scenario), f"`{text}`", *(values.get(wire, "") for wire in wires)]


def _value(finding: Finding) -> str:
    value = beside(finding.observed, finding.limit, finding.unit)
    return value if finding.verdict == "pass" else f"**{value}: {finding.verdict}**"


def _told(proofs: Sequence[Proof]) -> str:
    """`3 of 3 pass`, or what else there is to say of one wire."""
    judged = [proof for proof in proofs if proof.verdict != "skipped"]
    if not judged:
        return "not shown"
    passed = sum(proof.verdict == "pass" for proof in judged)
    return f"{passed} of {len(judged)} pass"


def _title(row: Row) -> str:
    return f"{row.requirement}: {row.title}" if row.title else row.requirement


def _table(head: Sequence[str], body: Iterator[list[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for cells in body:
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def _plain(text: str) -> str:
    """One line in which Markdown finds no markup of its own."""
    return _one_line(text).translate(_MARKUP)


def _one_line(text: str) -> str:
    return " ".join(text.split())
