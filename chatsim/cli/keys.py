"""Key files: the secret that signs tokens, and the administrator's key.

Decides which files are good enough to be keys. Rule: a refusal names the file and the cure, and never quotes what
is in it. What is signed with a key is decided elsewhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from chatsim.errors import UsageError

_CURE: Final = "make one with: head -c 32 /dev/urandom | base64 > FILE"


def read_key(path: Path, flag: str, algorithms: tuple[str, ...] = ("HS256",)) -> bytes:
    """The bytes of a key file, without the white space around them; for HS algorithms at least 32.

    `flag` is the option that named the file. Raises UsageError for a file that is missing, empty or too short.
    """
    from chatsim.core.tokens import SECRET_BYTES_MIN

    try:
        key = path.read_bytes().strip()
    except FileNotFoundError:
        raise UsageError(f"{flag} {path}: there is no such file; {_CURE}") from None
    except OSError as error:
        raise UsageError(f"{flag} {path} cannot be read: {error.strerror or error}") from error
    if not key:
        raise UsageError(f"{flag} {path} is empty; {_CURE}")
    shared = all(name.startswith("HS") for name in algorithms)
    if shared and len(key) < SECRET_BYTES_MIN:
        raise UsageError(f"{flag} {path} holds {len(key)} bytes, and a secret needs {SECRET_BYTES_MIN}; {_CURE}")
    return key
