"""How far a run is: a line of members done, rate, time left, and under it what each gang does; moving on a terminal,
else a line now and then.
"""

import sys
import time
from dataclasses import dataclass
from html import escape
from importlib import import_module
from types import TracebackType
from typing import Any, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text
from shockmesh.cluster.planning.amounts import scaled
from shockmesh.cluster.seeing.events import BlockDone, BlockGivenUp, Event, GangEnded, GangFormed, GangLeaves

LOG_SECONDS = 10.0
GANGS_SHOWN = 16


@dataclass(frozen=True)
class Pace:
    """How far, how fast, how long yet."""

    done: int
    members: int
    link_steps_per_member: int
    seconds: float
    before: int = 0  # members that an earlier run had done

    @property
    def of(self) -> int:
        """How many there are."""
        return self.members

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
        speed = f"{self.rate:.3g} members/s, {scaled(self.rate * self.link_steps_per_member, ' link-steps/s')}"
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
    """What can be shown: how much is done of how much, and a line that says so."""

    @property
    def done(self) -> int: ...

    @property
    def of(self) -> int: ...

    def line(self) -> str: ...


@dataclass
class _GangRow:
    """What is shown of a gang."""

    places: tuple[str, ...]
    members: int = 0
    seconds: float = 0.0  # at work

    def cells(self) -> tuple[str, ...]:
        where = ", ".join(self.places[:2]) + (f" … ({len(self.places)})" if len(self.places) > 2 else "")
        rate = f"{self.members / self.seconds:.3g} members/s" if self.seconds else "first block"
        return where, f"{self.members:,} members", rate


class Cell:
    """A bar and a line under the cell of a notebook, gone at the end."""

    def __init__(self) -> None:
        self._shows: Any = import_module("IPython.display")  # there, where a notebook is
        self._place: Any = None

    def show(self, html: str) -> None:
        """Replace what is shown."""
        if self._place is None:
            self._place = self._shows.display(self._shows.HTML(html), display_id=True)
        else:
            self._place.update(self._shows.HTML(html))


class Progress:
    """Shows paces and events as they come, on standard error or in a notebook; quiet shows nothing."""

    def __init__(self, quiet: bool = False) -> None:
        self._console = Console(file=sys.stderr, quiet=quiet, soft_wrap=True)
        self._live = Live(console=self._console, transient=True) if self._console.is_terminal and not quiet else None
        self._cell = Cell() if "ipykernel" in sys.modules and not quiet else None
        self._logged, self._said = time.monotonic(), -1
        self._line, self._gangs = "", dict[int, _GangRow]()

    def __enter__(self) -> "Progress":
        if self._live:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._live:
            self._live.stop()
        if self._cell:
            self._cell.show("")

    def show(self, pace: Line) -> None:
        """Replace the line, or log one every ten seconds when something is new."""
        self._line = pace.line()
        if self._cell:
            self._cell.show(f'<progress value="{pace.done}" max="{pace.of}"></progress> {escape(self._line)}')
        elif self._live:
            self._live.update(self.view())
        elif time.monotonic() - self._logged >= LOG_SECONDS and pace.done != self._said:
            self.say(self._line)
            self._logged, self._said = time.monotonic(), pace.done

    def tell(self, event: Event) -> None:
        """Keep what a gang does; say at once what goes wrong."""
        match event:
            case GangFormed():
                self._gangs[event.gang] = _GangRow(event.places)
            case GangLeaves():
                self.say(f"gang {event.gang} leaves: {event.message}")
            case GangEnded():
                self._gangs.pop(event.gang, None)
                self.say(f"gang {event.gang} ended: {event.message}")
            case BlockGivenUp():
                self.say(f"block {event.block} was given up: {event.message}")
            case BlockDone(members=(first, end)) if row := self._gangs.get(event.gang):
                row.members += end - first
                row.seconds += event.seconds
            case _:
                pass

    def view(self) -> Group:
        """The line and the gangs under it."""
        table = Table.grid(padding=(0, 2))
        for number, row in [*self._gangs.items()][:GANGS_SHOWN]:
            table.add_row(f"  gang {number}", *row.cells())
        hidden = len(self._gangs) - GANGS_SHOWN
        return Group(Text(self._line), table, *([Text(f"  and {hidden} more")] if hidden > 0 else []))

    def say(self, line: str) -> None:
        """Print a line that stays."""
        self._console.print(line, markup=False, highlight=False)
