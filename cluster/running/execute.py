"""Running blocks on workers, whatever the workers are: what to retry, what to give up, when to stop. No Ray here.

An `Executor` takes block numbers and gives back outcomes, in any order. The policy above it is written once:

* a worker that is lost loses nothing: its blocks run again elsewhere. The block that it was working on is charged an
  attempt; those that only waited behind it are not. A block that costs `ATTEMPTS["worker"]` workers is given up and
  reported. Nodes that go take workers along, which says little about a block: they are counted apart, and counted
  anew with each loss, as it may take seconds until a cluster knows that a node went and not its worker alone;
* an error of the work itself is not tried again: the same numbers would fail the same way;
* where `HOPELESS` blocks are given up in a row, with none done in between, the blocks are not at fault (a full disk, a
  broken installation): no more are started, and `Tally.stopped` says why; likewise where no workers can be had;
* once no block waits, an idle worker gets a copy of a block that another has had for much longer than blocks take;
  the first outcome counts, and the other is not waited for;
* blocks committed by an earlier attempt are harmless: committing is exclusive and the numbers are the same.
"""

import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal, Protocol, runtime_checkable

from shockmesh.cluster.seeing.events import BlockDone, BlockGivenUp, BlockLost, Tell, silent
from shockmesh.io.stores.disks import reason

ATTEMPTS = {"worker": 3, "node": 20}  # that a block may cost
HOPELESS = 3
STRAGGLING, STRAGGLING_SECONDS = 3.0, 5.0  # a block is late after so many medians, and so many seconds at least

type Note = dict[str, Any]
"""A few numbers about a block."""
type Work = Callable[[int, Any], Callable[[], Note]]
"""Compute a block; what is returned commits it and says the note. The second argument is what all blocks share."""


class WorkersError(ValueError):
    """No workers can be had. The message says why."""


def told(error: BaseException) -> str:
    """What a block raised: of a disk's error the file and the reason, else its kind and its words."""
    if isinstance(error, OSError) and error.filename is not None:
        return reason(error)
    return f"{type(error).__name__}: {error}"


@dataclass(frozen=True)
class Outcome:
    """What became of a block that was given to a worker."""

    block: int
    kind: Literal["done", "lost", "error"]
    note: Note = field(default_factory=dict)  # of a block done
    message: str = ""  # of a block lost or in error
    charged: bool = True  # lost: it was being worked on when the worker died
    nodes: tuple[str, ...] = ()  # lost: those of the worker
    gang: int = 0  # whose block it was


@runtime_checkable
class Executor(Protocol):
    """Workers that run blocks."""

    @property
    def room(self) -> int:
        """How many more blocks can be given without piling up."""
        ...

    @property
    def idle(self) -> int:
        """How many workers have no block."""
        ...

    def gone(self, nodes: tuple[str, ...]) -> bool:
        """Whether one of these machines, as outcomes name them, is there no more."""
        ...

    def share(self, value: Any) -> None:
        """Give every block submitted from now on a value, besides its number."""
        ...

    def submit(self, block: int) -> None:
        """Give a block to the least busy worker."""
        ...

    def outcomes(self) -> list[Outcome]:
        """Wait a little; what has become of blocks since (perhaps nothing yet).

        Raises:
            WorkersError: no worker is left and new ones do not start.
        """
        ...

    def close(self) -> None:
        """End every worker."""
        ...


@dataclass
class Tally:
    """How far the work is."""

    done: dict[int, Note] = field(default_factory=dict)
    given_up: dict[int, str] = field(default_factory=dict)  # block → why
    lost: int = 0  # times a block had to run again because its worker died
    in_a_row: int = 0  # blocks given up since one was done
    stopped: str = ""  # why no more blocks were started, if so


@dataclass
class _Flight:
    """A block that workers have."""

    since: float
    copies: int = 1


class _Flights:
    """The blocks that workers have, and how long those that are done took."""

    def __init__(self, executor: Executor, clock: Callable[[], float]) -> None:
        self._executor, self._clock = executor, clock
        self._flying, self._took = dict[int, _Flight](), list[float]()

    def __contains__(self, block: int) -> bool:
        return block in self._flying

    def __len__(self) -> int:
        return len(self._flying)

    def start(self, block: int) -> None:
        self._executor.submit(block)
        self._flying[block] = _Flight(self._clock())

    def land(self, outcome: Outcome) -> int:
        """A copy of a block has ended. How many other copies still count: none, unless this one was lost."""
        flight = self._flying[outcome.block]
        flight.copies -= 1
        if outcome.kind == "done":
            self._took.append(self._clock() - flight.since)
        if outcome.kind != "lost" or not flight.copies:
            del self._flying[outcome.block]
            return 0
        return flight.copies

    def copy_stragglers(self) -> None:
        """Give blocks that take much too long to idle workers as well, each once."""
        if not self._took:
            return
        late = self._clock() - max(STRAGGLING * median(self._took), STRAGGLING_SECONDS)
        for block, flight in self._flying.items():
            if flight.since < late and flight.copies == 1 and self._executor.idle:
                flight.copies += 1
                self._executor.submit(block)


def execute(
    blocks: Iterable[int],
    executor: Executor,
    watch: Callable[[Tally], None] = lambda _: None,
    tell: Tell = silent,
    clock: Callable[[], float] = time.monotonic,
) -> Tally:
    """Run every block to its end, unless it is hopeless.

    Args:
        watch: sees the tally whenever it changes.
        tell: hears what became of each block.
    """
    waiting, flights, tally = deque(blocks), _Flights(executor, clock), Tally()
    costs = defaultdict[int, list[Outcome]](list)
    while flights or (waiting and not tally.stopped):
        if not tally.stopped:
            for _ in range(min(executor.room, len(waiting))):
                flights.start(waiting.popleft())
        if not waiting and not tally.stopped:
            flights.copy_stragglers()
        try:
            found = executor.outcomes()
        except WorkersError as error:
            tally.stopped = str(error)
            watch(tally)
            break
        for outcome in found:
            if outcome.block in flights and _again(outcome, flights, _cost(outcome, costs, executor), tally):
                waiting.appendleft(outcome.block)
            tell(_event(outcome, tally))
        watch(tally)
    return tally


def _cost(outcome: Outcome, costs: dict[int, list[Outcome]], executor: Executor) -> Counter[str]:
    """Enter a loss at the cost of its block; the workers and the nodes that the block has cost so far."""
    if outcome.kind != "lost":
        return Counter()
    if outcome.charged:
        costs[outcome.block].append(outcome)
    return Counter("node" if executor.gone(of.nodes) else "worker" for of in costs[outcome.block])


def _again(outcome: Outcome, flights: _Flights, cost: Counter[str], tally: Tally) -> bool:
    """Enter an outcome in the tally; True if the block must run again."""
    others = flights.land(outcome)
    if outcome.kind == "done":
        tally.done[outcome.block] = outcome.note
        tally.in_a_row = 0
        return False
    if outcome.kind == "lost":
        tally.lost += 1
        if others or all(cost[what] < most for what, most in ATTEMPTS.items()):
            return not others
    _give_up(outcome, cost, tally)
    return False


def _event(outcome: Outcome, tally: Tally) -> BlockDone | BlockLost | BlockGivenUp:
    gang, block, note = outcome.gang, outcome.block, outcome.note
    if outcome.kind == "done":
        members, failed = tuple(note.get("members", (0, 0))), tuple(note.get("failed", ()))
        return BlockDone(gang, block, members, failed, note.get("seconds", 0.0), note.get("bytes", 0))
    if block in tally.given_up:
        return BlockGivenUp(gang, block, tally.given_up[block])
    return BlockLost(gang, block, outcome.message, outcome.charged)


def _give_up(outcome: Outcome, cost: Counter[str], tally: Tally) -> None:
    lost = " and ".join(f"{times} {what}{'s' * (times > 1)}" for what, times in sorted(cost.items(), reverse=True))
    why = f"cost {lost}; the last: {outcome.message}" if outcome.kind == "lost" else outcome.message
    tally.given_up[outcome.block] = why
    tally.in_a_row += 1
    if tally.in_a_row == HOPELESS:
        tally.stopped = f"{HOPELESS} blocks in a row failed; the last: {why}"


class LocalExecutor:
    """Runs blocks in this process, one after the other: for tests, notebooks and the smallest runs."""

    def __init__(self, work: Work) -> None:
        self._work, self._given = work, deque[int]()
        self._shared: Any = None

    @property
    def room(self) -> int:
        return 1 - len(self._given)

    @property
    def idle(self) -> int:
        return self.room

    def gone(self, nodes: tuple[str, ...]) -> bool:
        return False

    def share(self, value: Any) -> None:
        self._shared = value

    def submit(self, block: int) -> None:
        self._given.append(block)

    def outcomes(self) -> list[Outcome]:
        block = self._given.popleft()
        try:
            return [Outcome(block, "done", self._work(block, self._shared)())]
        except Exception as error:
            return [Outcome(block, "error", message=told(error))]

    def close(self) -> None:
        self._given.clear()
