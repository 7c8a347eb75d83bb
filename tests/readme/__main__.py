"""Writes anew what the README shows of runs, and its picture: `make readme`."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from tests.readme.showing import PICTURE, README, renewed

if __name__ == "__main__":
    with TemporaryDirectory(prefix="chatsim-readme-") as folder:
        text, picture = renewed(README.read_text(encoding="utf-8"), Path(folder))
    README.write_text(text, encoding="utf-8")
    PICTURE.write_text(picture, encoding="utf-8")
