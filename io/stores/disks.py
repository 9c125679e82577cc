"""Files of a local disk: that they survive a power cut, and that an error says which place it was about."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

PARTIAL = ".partial"  # in the name of what a process is writing, or was when it died


@contextmanager
def naming(at: object) -> Generator[None]:
    """Write to a place within. The system does not say which file a full disk had no room for; the place is named."""
    try:
        yield
    except OSError as error:
        if error.strerror and PARTIAL in str(error.filename or PARTIAL):
            error.filename, error.filename2 = str(at), None
        raise


def reason(error: OSError) -> str:
    """What went wrong with which file, in one sentence."""
    named = error.filename2 or error.filename or "the disk"  # the second of two is what the first should become
    return f"{named}: {error.strerror or error}"


def flush_content(path: Path) -> None:
    """Make a file's content survive a power cut."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def flush_folder(path: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_tree(folder: Path) -> None:
    """Make every file and name below a folder survive a power cut."""
    for parent, _, names in os.walk(folder):
        for name in names:
            flush_content(Path(parent, name))
        flush_folder(Path(parent))
