"""What happens in a run, as typed records: for its log, its metrics and the view of its progress."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class RunBegan:
    """Work on a run begins or continues."""

    members: int
    before: int  # members that an earlier call had done
    gangs: int
    devices_per_gang: int


@dataclass(frozen=True)
class GangFormed:
    """A gang has compiled its program and takes blocks."""

    gang: int
    places: tuple[str, ...]  # host:process of each rank
    seconds: float  # that the gang took to form


@dataclass(frozen=True)
class GangLeaves:
    """A gang's node is to be taken away; it finishes the block it is at, and another takes its place."""

    gang: int
    message: str


@dataclass(frozen=True)
class GangEnded:
    """A gang was lost, hung or failed to form; another takes its place."""

    gang: int
    message: str


@dataclass(frozen=True)
class BlockDone:
    """A block was simulated and committed, or handed to the one process that commits."""

    gang: int
    block: int
    members: tuple[int, int]  # from, to (not included)
    failed: tuple[int, ...]  # members with numbers that are not finite
    seconds: float  # at work
    bytes: int  # recorded, before compression


@dataclass(frozen=True)
class BlockLost:
    """A block's gang ended before it was done; it runs again."""

    gang: int
    block: int
    message: str
    charged: bool  # whether it was being worked on


@dataclass(frozen=True)
class BlockGivenUp:
    """A block failed for good."""

    gang: int
    block: int
    message: str


@dataclass(frozen=True)
class StepsTaken:
    """A guide is at a checkpoint."""

    step: int
    objective: float  # mean of the last steps
    held_out: float  # loss of the held-out window


@dataclass(frozen=True)
class RunEnded:
    """Work on a run ends, for now or for good."""

    done: int  # members or steps that are there
    of: int
    stopped: str  # why it ended early, if it did
    interrupted: bool
    seconds: float


type Event = (
    RunBegan | GangFormed | GangLeaves | GangEnded | BlockDone | BlockLost | BlockGivenUp | StepsTaken | RunEnded
)
type Tell = Callable[[Event], None]

TROUBLE = (GangEnded, BlockLost, BlockGivenUp)


def silent(event: Event) -> None:
    """Tell nobody."""
