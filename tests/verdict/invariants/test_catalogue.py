"""Every invariant has a name and a sentence, and a violation says both."""

from __future__ import annotations

from chatsim.verdict.invariants.catalogue import INVARIANTS, Findings


def test_each_has_a_sentence() -> None:
    assert len(INVARIANTS) > 30
    assert all(sentence.endswith(".") and sentence[0].isupper() for sentence in INVARIANTS.values())


def test_the_first_of_each_name_is_told_and_all_are_counted() -> None:
    findings = Findings()
    for at in (3.0, 4.0):
        findings.add("seq", at, f"at {at:g}.")
    findings.add("gone", 5.0, "c1.")
    assert findings.count == 3
    assert [f"{violation}" for violation in findings.all()] == [
        f"seq at 3 s: {INVARIANTS['seq']} at 3.",
        f"gone at 5 s: {INVARIANTS['gone']} c1.",
    ]
