"""The numbers of a run for Prometheus, through Ray's own exporter: it adds the prefix ray_, and _total to counters.

Every number has the tag `run`. The driver, which hears of everything, keeps them; deploy/grafana.json draws them.
"""

from ray.util.metrics import Counter, Gauge, Histogram
from shockmesh.cluster.seeing.events import BlockDone, BlockGivenUp, BlockLost, Event, GangEnded, GangFormed, StepsTaken

COUNTERS = {
    "members_done": "members committed",
    "members_failed": "members with numbers that are not finite",
    "link_steps": "links times days simulated",
    "recorded_bytes": "bytes recorded, before compression",
    "blocks_lost": "times a block's gang ended before it was done",
    "blocks_given_up": "blocks that failed for good",
}
GAUGES = {
    "gangs": "gangs that take blocks",
    "step": "steps taken of a guide",
    "objective": "objective of a guide, mean of its last steps",
    "held_out": "loss of the held-out window",
}
SECONDS = [0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000]  # bounds of the histogram of blocks


class Metrics:
    """Counts the events of a run. Ray must be connected."""

    def __init__(self, run: str, link_steps: int) -> None:
        self._tags, self._link_steps, self._gangs = {"run": run}, link_steps, set[int]()
        self._counters = {name: Counter(f"shockmesh_{name}", text, ("run",)) for name, text in COUNTERS.items()}
        self._gauges = {name: Gauge(f"shockmesh_{name}", text, ("run",)) for name, text in GAUGES.items()}
        self._seconds = Histogram("shockmesh_block_seconds", "time at work on a block", SECONDS, ("run",))

    def __call__(self, event: Event) -> None:
        """Count an event."""
        match event:
            case BlockDone(members=(first, end)):
                self._count("members_done", end - first)
                self._count("members_failed", len(event.failed))
                self._count("link_steps", (end - first) * self._link_steps)
                self._count("recorded_bytes", event.bytes)
                self._seconds.observe(event.seconds, self._tags)
            case BlockLost():
                self._count("blocks_lost", 1)
            case BlockGivenUp():
                self._count("blocks_given_up", 1)
            case GangFormed() | GangEnded():
                self._gangs = (
                    self._gangs | {event.gang} if isinstance(event, GangFormed) else self._gangs - {event.gang}
                )
                self._gauges["gangs"].set(len(self._gangs), self._tags)
            case StepsTaken():
                for name in ("step", "objective", "held_out"):
                    self._gauges[name].set(getattr(event, name), self._tags)
            case _:
                pass

    def _count(self, name: str, much: int) -> None:
        if much > 0:  # Ray refuses to count 0
            self._counters[name].inc(much, self._tags)
