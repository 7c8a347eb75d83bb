"""The matrix of what was required: each requirement, the scenarios that carry it, and what came of them on each wire.

Decides what is a gap. Rule: a requirement holds on a wire where a scenario that carries it was judged there and all of
them that were pass as wholes; one without a scenario, one whose scenario failed or promises nothing about it, and one
that nobody has shown on a wire is a gap, with a sentence that says what to do. What a wire does not play is shown by
nothing that passes there, and is a gap where it is played nowhere. How it looks stands in
`chatsim.findings.requirements_page`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from chatsim.findings.finding import VERDICTS, Finding, Verdict, to_dict
from chatsim.scenario.requirements import REQUIREMENTS, TLS_WIRE, telling, unfit

if TYPE_CHECKING:
    from chatsim.scenario.model import Scenario


class Proof(msgspec.Struct, frozen=True):
    """What one scenario says of one requirement on one wire: the verdict on the scenario as a whole, the findings that
    speak of the requirement, and why it is no pass where it is none. `decisive` is the one of them that has the
    verdict, and would not have passed if nobody had come (None: nothing of the kind is promised about it)."""

    scenario: str
    wire: str
    verdict: Verdict
    evidence: tuple[Finding, ...]
    why: str = ""
    decisive: Finding | None = None


class Row(msgspec.Struct, frozen=True):
    """One requirement; `title` is empty for a tag of somebody's own, `gaps` are sentences."""

    requirement: str
    title: str
    scenarios: tuple[str, ...]
    proofs: tuple[Proof, ...]
    gaps: tuple[str, ...]

    def on(self, wire: str) -> list[Proof]:
        """What was shown on one wire."""
        return [proof for proof in self.proofs if proof.wire == wire]


class Matrix(msgspec.Struct, frozen=True):
    """All requirements, in the order of the vocabulary and then as they were met."""

    wires: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def gaps(self) -> list[str]:
        """Every gap of every requirement, each once."""
        return list(dict.fromkeys(gap for row in self.rows for gap in row.gaps))

    @property
    def verdict(self) -> Verdict:
        """`fail` where a promise is broken, `error` where something could not be judged, `fail` again where there is
        another gap, else `pass`."""
        found = {proof.verdict for row in self.rows for proof in row.proofs}
        if "error" in found and "fail" not in found:
            return "error"
        return "fail" if self.gaps else "pass"

    def to_dict(self) -> dict[str, Any]:
        """All of it for a JSON document."""
        return {
            "verdict": self.verdict,
            "wires": list(self.wires),
            "gaps": self.gaps,
            "requirements": [_row_dict(row) for row in self.rows],
        }


def matrix(scenarios: Sequence[Scenario], wires: Sequence[str], findings: Iterable[Finding]) -> Matrix:
    """The matrix of these scenarios on these wires, out of what was found of them.

    Findings of other scenarios are left alone; a scenario of which nothing was found on a wire was not played there.
    """
    by_run: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        by_run.setdefault((finding.scenario, finding.wire), []).append(finding)
    own = (tag for scenario in scenarios for tag in scenario.requirements)
    tags = dict.fromkeys([*REQUIREMENTS, *own])
    return Matrix(tuple(wires), tuple(_row(tag, scenarios, wires, by_run) for tag in tags))


def _row(
    tag: str, scenarios: Sequence[Scenario], wires: Sequence[str], by_run: dict[tuple[str, str], list[Finding]]
) -> Row:
    title = REQUIREMENTS[tag].title if tag in REQUIREMENTS else ""
    carrying = [scenario for scenario in scenarios if tag in scenario.requirements]
    there = [wire for wire in wires if tag not in REQUIREMENTS or REQUIREMENTS[tag].shown_on(wire)]
    proofs = [
        _proof(tag, scenario, wire, by_run.get((scenario.name, wire), ())) for wire in there for scenario in carrying
    ]
    if not carrying:
        gaps = [f"{tag} ({title}) has no scenario: write its tag into `requirements:` of one"]
    elif not there:
        gaps = [f"{tag} ({title}) is shown on {TLS_WIRE} alone: play it there too"]
    else:
        gaps = list(_gaps(tag, carrying, there, proofs))
    return Row(tag, title, tuple(each.name for each in carrying), tuple(proofs), tuple(gaps))


def _proof(tag: str, scenario: Scenario, wire: str, found: Sequence[Finding]) -> Proof:
    if not found:
        return Proof(scenario.name, wire, "skipped", (), "it was not played")
    spoken = {each.text: each.holds_of_nothing for each in telling(tag, _expected(scenario, wire))}
    evidence = tuple(finding for finding in found if finding.expectation in spoken)
    verdict = min((finding.verdict for finding in found), key=VERDICTS.index)
    if verdict in ("fail", "inconclusive"):
        broken = [finding for finding in found if finding.verdict == verdict]
        why = "; ".join(f"{each.expectation}: {each.told}" for each in broken)
    else:
        why = next((finding.why for finding in found if finding.verdict in ("error", "skipped")), "")
    if verdict in ("error", "skipped"):
        return Proof(scenario.name, wire, verdict, (), why)
    # What holds of nothing shows something beside what does not, and is no proof alone.
    hollow = {text for text, holds_of_nothing in spoken.items() if holds_of_nothing and verdict == "pass"}
    deciding = (each for each in evidence if each.verdict == verdict and each.expectation not in hollow)
    return Proof(scenario.name, wire, verdict, evidence, why, next(deciding, None))


def _expected(scenario: Scenario, wire: str) -> Any:
    return (scenario.with_live_overrides() if wire == "live" else scenario).expect


def _gaps(tag: str, carrying: Sequence[Scenario], wires: Sequence[str], proofs: Sequence[Proof]) -> Iterator[str]:
    """What is wrong with a requirement that has scenarios."""
    for wire in wires:
        yield from (why for scenario in carrying if (why := unfit(tag, scenario, _expected(scenario, wire))))
        there = [proof for proof in proofs if proof.wire == wire]
        for proof in there:
            if proof.verdict in ("fail", "inconclusive"):
                yield f"{proof.scenario} does not hold on {wire}, {proof.verdict}: {proof.why}"
            elif proof.verdict == "error":
                yield f"{proof.scenario} proves nothing on {wire}: {proof.why}"
        if carrying and all(proof.verdict == "skipped" for proof in there):
            whys = "; ".join(dict.fromkeys(f"{proof.scenario}: {proof.why}" for proof in there))
            yield f"{tag} is shown by no scenario on {wire} ({whys})"


def _row_dict(row: Row) -> dict[str, Any]:
    return {
        "requirement": row.requirement,
        "title": row.title,
        "scenarios": list(row.scenarios),
        "gaps": list(row.gaps),
        "proofs": [
            {
                "scenario": proof.scenario,
                "wire": proof.wire,
                "verdict": proof.verdict,
                "why": proof.why,
                "evidence": [to_dict(finding) for finding in proof.evidence],
            }
            for proof in row.proofs
        ],
    }
