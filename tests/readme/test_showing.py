"""What is made anew differs from what stands there wherever a run does, and in nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.readme import showing

TEXT = showing.README.read_text(encoding="utf-8")


def test_another_number_in_the_text_is_found(tmp_path: Path) -> None:
    (block,) = showing.blocks(TEXT, "console")
    (tmp_path / "after-lunch.yaml").write_text(showing.scenario(TEXT), encoding="utf-8")
    wrong = block.replace("10 users", "11 users")
    assert wrong != block
    assert showing.console(wrong, tmp_path) == block


def test_a_command_that_fails_is_no_output(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="no shipped scenario"):
        showing.played(["chatsim", "lint", "stedy"], tmp_path)


def test_commands_are_found_with_their_words() -> None:
    text = "```sh\na 'b c'  # d\n\n# e\n```\n\n```console\n$ f g\nh\n```\n\n```python\ni\n```\n"
    assert showing.commands(text) == [["a", "b c"], ["f", "g"]]
