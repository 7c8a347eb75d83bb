"""The installed command, and `python -m chatsim`: nothing is imported before Ctrl-C has its answer, and other signals
that end a command wait until they have theirs."""

import sys


def entry() -> None:
    """Run the command line of this process, and leave with its exit code."""
    try:
        from chatsim.runner.interrupts import hold_back

        hold_back()
        from chatsim.cli.main import entry as begin
    except KeyboardInterrupt:
        sys.stderr.write("chatsim: interrupted\n")
        sys.exit(130)
    begin()


if __name__ == "__main__":
    entry()
