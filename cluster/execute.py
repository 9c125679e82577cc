"""Running blocks on workers, whatever the workers are: what to retry, what to give up, when to stop. No Ray here.

An `Executor` takes block numbers and gives back outcomes, in any order. The policy above it is written once:

* a worker that is lost loses nothing: its blocks run again elsewhere. The block that it was working on is charged an
  attempt; those that only waited behind it are not. A block that costs `ATTEMPTS` workers is given up and reported;
* an error of the work itself is not tried again: the same numbers would fail the same way;
* where `HOPELESS` blocks are given up in a row, with none done in between, the blocks are not at fault (a full disk, a
  broken installation): no more are started, and `Tally.stopped` says why; likewise where no workers can be had;
* blocks committed by an earlier attempt are harmless: committing is exclusive and the numbers are the same.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

ATTEMPTS = 3
HOPELESS = 3

type Work = Callable[[int], dict[str, Any]]
"""Simulate a block, commit it, and say a few numbers about it."""


class WorkersError(ValueError):
    """No workers can be had. The message says why."""


@dataclass(frozen=True)
class Outcome:
    """What became of a block that was given to a worker."""

    block: int
    kind: Literal["done", "lost", "error"]
    note: dict[str, Any] = field(default_factory=dict)  # of a block done
    message: str = ""  # of a block lost or in error
    charged: bool = True  # lost: it was being worked on when the worker died


@runtime_checkable
class Executor(Protocol):
    """Workers that run blocks."""

    @property
    def room(self) -> int:
        """How many more blocks can be given without piling up."""
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

    done: dict[int, dict[str, Any]] = field(default_factory=dict)  # block → note
    given_up: dict[int, str] = field(default_factory=dict)  # block → why
    lost: int = 0  # times a block had to run again because its worker died
    in_a_row: int = 0  # blocks given up since one was done
    stopped: str = ""  # why no more blocks were started, if so


def execute(blocks: Iterable[int], executor: Executor, watch: Callable[[Tally], None] = lambda _: None) -> Tally:
    """Run every block to its end, unless it is hopeless; `watch` sees the tally whenever it changes."""
    waiting, flying, attempts, tally = deque(blocks), set[int](), Counter[int](), Tally()
    while flying or (waiting and not tally.stopped):
        while waiting and not tally.stopped and executor.room > 0:
            block = waiting.popleft()
            flying.add(block)
            executor.submit(block)
        try:
            found = executor.outcomes()
        except WorkersError as error:
            tally.stopped = str(error)
            watch(tally)
            break
        for outcome in found:
            flying.discard(outcome.block)
            if _again(outcome, attempts, tally):
                waiting.appendleft(outcome.block)
        watch(tally)
    return tally


def _again(outcome: Outcome, attempts: Counter[int], tally: Tally) -> bool:
    """Enter an outcome in the tally; True if the block must run again."""
    if outcome.kind == "done":
        tally.done[outcome.block] = outcome.note
        tally.in_a_row = 0
        return False
    if outcome.kind == "lost":
        tally.lost += 1
        attempts[outcome.block] += outcome.charged
        if attempts[outcome.block] < ATTEMPTS:
            return True
    _give_up(outcome, tally)
    return False


def _give_up(outcome: Outcome, tally: Tally) -> None:
    cost = f"cost {ATTEMPTS} workers; the last: " if outcome.kind == "lost" else ""
    tally.given_up[outcome.block] = why = cost + outcome.message
    tally.in_a_row += 1
    if tally.in_a_row == HOPELESS:
        tally.stopped = f"{HOPELESS} blocks in a row failed; the last: {why}"


class LocalExecutor:
    """Runs blocks in this process, one after the other: for tests, notebooks and the smallest runs."""

    def __init__(self, work: Work) -> None:
        self._work, self._given = work, deque[int]()

    @property
    def room(self) -> int:
        return 1 - len(self._given)

    def submit(self, block: int) -> None:
        self._given.append(block)

    def outcomes(self) -> list[Outcome]:
        block = self._given.popleft()
        try:
            return [Outcome(block, "done", self._work(block))]
        except Exception as error:
            return [Outcome(block, "error", message=f"{type(error).__name__}: {error}")]

    def close(self) -> None:
        self._given.clear()
