"""Key files: a sentence that names the file and the cure, and never the key."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatsim.cli.keys import read_key
from chatsim.core.tokens import SECRET_BYTES_MIN
from chatsim.errors import UsageError


def test_a_good_key_loses_its_final_newline(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(b"k" * SECRET_BYTES_MIN + b"\n")
    assert read_key(file, "--secret-file") == b"k" * SECRET_BYTES_MIN


@pytest.mark.parametrize(("content", "word"), [(b"", "empty"), (b" \n", "empty"), (b"hush" * 7, "28 bytes")])
def test_a_bad_key_is_refused(content: bytes, word: str, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=word) as caught:
        read_key(file, "--secret-file")
    assert "hush" not in str(caught.value).replace(str(file), "FILE")
    assert str(file) in str(caught.value)


def test_a_missing_key_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read_key(tmp_path / "none", "--secret-file")
    with pytest.raises(UsageError, match="cannot be read"):
        read_key(tmp_path, "--secret-file")


def test_public_keys_have_no_least_length(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(b"short")
    assert read_key(file, "--secret-file", ("EdDSA",)) == b"short"
