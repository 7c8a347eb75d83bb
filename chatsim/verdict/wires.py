"""What the ways to play a scenario are called, in results and at a prompt.

Decides that a fidelity of the simulation has a name of its own wherever a wire is named, so that no result of one is
taken for that of another. Rule: a result's name gives back the words that play it again.
"""

from __future__ import annotations

from typing import Final

from chatsim.errors import UsageError

FLOW: Final = "flow"
"""The simulation without handler code, in arrays."""

FIDELITIES: Final = ("full", FLOW)


def played_as(on: str, fidelity: str) -> str:
    """The name of a wire at a fidelity. Raises UsageError where there is no such thing."""
    if fidelity not in FIDELITIES:
        raise UsageError(f"there is no fidelity {fidelity}: say {' or '.join(FIDELITIES)}")
    if fidelity == FLOW and on not in ("sim", FLOW):
        raise UsageError(f"flow is a fidelity of sim, and not of {on}: leave one of them out")
    return FLOW if fidelity == FLOW else on


def again_words(wire: str) -> list[str]:
    """The words of a command that plays on this wire: none for what it does unasked."""
    if wire == FLOW:
        return ["--fidelity", FLOW]
    return [] if wire == "sim" else ["--on", wire]
