"""How far a long work is, told on standard error once it has taken two seconds."""

import argparse
import sys
import time
from types import TracebackType

PATIENCE, PAUSE = 2.0, 5.0  # seconds before the first word, and between words where nobody watches a terminal


class Progress:
    """Tells what is done now and the part that is done: a line that changes on a terminal, else a line now and then."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.silent = options.quiet or options.json
        self.began = time.monotonic()
        self.last = float("-inf")
        self.width = 0

    def __enter__(self) -> "Progress":
        return self

    def __call__(self, doing: str, part: float) -> None:
        now, watched = time.monotonic(), sys.stderr.isatty()
        if self.silent or now - self.began < PATIENCE or now - self.last < (0.2 if watched else PAUSE):
            return
        self.last = now
        text = f"{doing}, {part:.0%}"
        sys.stderr.write(f"\r{text:<{self.width}}" if watched else f"{text}\n")
        sys.stderr.flush()
        self.width = len(text)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.width and sys.stderr.isatty():
            sys.stderr.write(f"\r{'':<{self.width}}\r")
