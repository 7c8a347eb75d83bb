"""`python -m chatsim` is the command `chatsim`."""

from chatsim.cli.main import entry

if __name__ == "__main__":
    entry()
