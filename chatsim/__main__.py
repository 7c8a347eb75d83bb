"""The installed command, and `python -m chatsim`: nothing is imported before Ctrl-C has its answer."""

import sys


def entry() -> None:
    """Run the command line of this process, and leave with its exit code."""
    try:
        from chatsim.cli.main import entry as begin
    except KeyboardInterrupt:
        sys.stderr.write("chatsim: interrupted\n")
        sys.exit(130)
    begin()


if __name__ == "__main__":
    entry()
