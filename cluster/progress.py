"""One line that says how far a run is: members done, rate, time left; a moving line on a terminal, else log lines."""

import sys
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.text import Text

LOG_SECONDS = 10.0


@dataclass(frozen=True)
class Pace:
    """How far, how fast, how long yet."""

    done: int
    members: int
    link_steps_per_member: int
    seconds: float
    before: int = 0  # members that an earlier run had done

    @property
    def rate(self) -> float:
        """Members per second of this run."""
        return (self.done - self.before) / self.seconds if self.seconds > 0 else 0.0

    @property
    def left(self) -> float | None:
        """Seconds to the end, at this rate."""
        return (self.members - self.done) / self.rate if self.rate > 0 else None

    def line(self) -> str:
        """The line as a person reads it."""
        share = f"{self.done:,} of {self.members:,} members ({100 * self.done / self.members:.0f} %)"
        if self.left is None:
            return f"{share}, {duration(self.seconds)}; compiling and simulating the first blocks"
        speed = f"{self.rate:.3g} members/s, {self.rate * self.link_steps_per_member / 1e6:.3g} M link-steps/s"
        return f"{share}, {speed}, {duration(self.seconds)} so far, {duration(self.left)} left"


def duration(seconds: float) -> str:
    """Seconds as a person says them.

    >>> duration(75), duration(4000)
    ('1 min 15 s', '1 h 6 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


class Line(Protocol):
    """What can be shown: how much is done, and a line that says so."""

    @property
    def done(self) -> int: ...

    def line(self) -> str: ...


class Progress:
    """Shows paces as they come, on standard error; quiet shows nothing."""

    def __init__(self, quiet: bool = False) -> None:
        self._console = Console(file=sys.stderr, quiet=quiet, soft_wrap=True)
        self._live = Live(console=self._console, transient=True) if self._console.is_terminal and not quiet else None
        self._logged, self._said = time.monotonic(), -1

    def __enter__(self) -> "Progress":
        if self._live:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._live:
            self._live.stop()

    def show(self, pace: Line) -> None:
        """Replace the line, or log one every ten seconds when something is new."""
        if self._live:
            self._live.update(Text(pace.line()))
        elif time.monotonic() - self._logged >= LOG_SECONDS and pace.done != self._said:
            self._console.print(pace.line(), markup=False, highlight=False)
            self._logged, self._said = time.monotonic(), pace.done
