"""The log of a run: what happened, one JSON object a line. Every call that works on the run writes files of its own.

    run/log/<time>-<process>-<part>.jsonl

Every few seconds the whole file is written anew, because object stores cannot append; after a megabyte a new file
begins. Only the journal says what was committed: a driver that is killed loses the last seconds of its log.
"""

import json
import os
import time
from datetime import UTC, datetime
from typing import Any

from shockmesh.io.results import read_manifest
from shockmesh.io.stores.places import Place, place, replace

LOG = "log"
FLUSH_SECONDS, PART_BYTES = 10.0, 1_000_000


class RunLogError(ValueError):
    """A log that is damaged. The message names the file."""


class RunLog:
    """Lines of one process, in the order in which they were written."""

    def __init__(self, run: Place) -> None:
        self._folder = run / LOG
        self._stem = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{os.getpid()}"
        self._part, self._lines, self._flushed = 0, list[str](), time.monotonic()

    def write(self, record: dict[str, Any], now: bool) -> None:
        """Add a line. With `now`, or if the last write is long ago, all lines are on disk when this returns."""
        self._lines.append(json.dumps({"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **record}))
        if now or time.monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Put on disk what was written."""
        if not self._lines:
            return
        self._flushed = time.monotonic()
        content = "".join(f"{line}\n" for line in self._lines).encode()
        replace(self._folder / f"{self._stem}-{self._part:04}.jsonl", content)
        if len(content) > PART_BYTES:
            self._part, self._lines = self._part + 1, []


def read_log(path: str | Place) -> list[dict[str, Any]]:
    """Every record of a run, the oldest first.

    Raises:
        ResultsError: no run there.
        RunLogError: a file of the log is damaged.
    """
    read_manifest(path)
    folder = place(path) / LOG
    records: list[dict[str, Any]] = []
    for file in sorted(folder.glob("*.jsonl"), key=lambda file: file.name):
        try:
            records += [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        except ValueError as error:
            raise RunLogError(f"{file}: no log of a run ({error}); it can be deleted without harm") from error
    return sorted(records, key=lambda record: record["time"])
