"""One refresh at a time: a lock that names its holder, and that no dead process keeps.

The operating system holds the lock and lets go of it with the process, whatever ended that. The
note beside it only tells people who holds it, so a stale note can never lock anybody out.
"""

from __future__ import annotations

import json
import os
import socket
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK, NOTE = "refresh.lock", "refresh.lock.json"


class LockError(ValueError):
    """Somebody else holds the lock; says who, and since when."""


@contextmanager
def locked(folder: Path, now: str) -> Iterator[str]:
    """Hold the lock of a folder while the block runs.

    Args:
        folder: What is locked; made when it is not there.
        now: The time, for the note that others read.

    Yields:
        Who left the lock behind without letting go of it, in words; '' where nobody did.

    Raises:
        LockError: Another process holds it.
        OSError: The folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK, timeout=0)
    note = folder / NOTE
    try:
        lock.acquire()
    except Timeout as error:
        raise LockError(
            f"{folder}: a refresh is running already, {_holder(note)}; wait for it, or stop it"
        ) from error
    try:
        left_by = _holder(note) if note.exists() else ""
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": now}
        note.write_text(json.dumps(holder) + "\n", "utf-8")
        yield left_by
    finally:
        with suppress(OSError):
            note.unlink(missing_ok=True)
        lock.release()


def _holder(note: Path) -> str:
    """Who wrote the note, in words."""
    try:
        told: dict[str, Any] = json.loads(note.read_text("utf-8"))
        return f"process {told['pid']} on {told['host']} since {told['since']}"
    except (OSError, ValueError, LookupError, TypeError):
        return "by a process that left no name"
