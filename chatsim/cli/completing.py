"""The command `completion`, and what answers the shell when somebody presses Tab.

Decides which shells are told how to ask. Rule: nothing is written into anybody's files; the script goes to stdout, and
what it asks is answered from the commands themselves.
"""

from __future__ import annotations

import os
from typing import Annotated, Final

import typer

from chatsim.cli.execute import PASSED
from chatsim.cli.output import emit
from chatsim.errors import UsageError

VARIABLE: Final = "_CHATSIM_COMPLETE"
"""Set by a shell that asks what could come next."""

SHELLS: Final = ("bash", "zsh", "fish")


def add(app: typer.Typer) -> None:
    """Hang the command into the application, and answer a shell that asks."""
    if VARIABLE in os.environ:
        from typer.completion import completion_init  # type: ignore[attr-defined]  # typer imports it for itself

        completion_init()

    @app.command()
    def completion(
        shell: Annotated[str, typer.Argument(metavar="bash|zsh|fish", help="Which shell.")],
    ) -> None:
        """Print what has a shell complete commands and options on Tab.

        bash: chatsim completion bash >> ~/.bashrc

        zsh: chatsim completion zsh >> ~/.zshrc (after compinit)

        fish: chatsim completion fish > ~/.config/fish/completions/chatsim.fish
        """
        if shell not in SHELLS:
            raise UsageError(f"completion {shell}: there is none for it; say {', '.join(SHELLS[:-1])} or {SHELLS[-1]}")
        from typer.completion import get_completion_script  # type: ignore[attr-defined]  # as above

        emit(get_completion_script(prog_name="chatsim", complete_var=VARIABLE, shell=shell))
        raise typer.Exit(PASSED)
