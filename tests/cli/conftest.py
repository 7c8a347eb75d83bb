"""The commands of these tests run at a desk, wherever the tests themselves are run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def at_a_desk() -> Iterator[None]:
    """No step of GitHub Actions, whose summary the tests would fill."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("GITHUB_ACTIONS", raising=False)
        yield
