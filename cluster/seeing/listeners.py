"""Whoever looks at a run: its log, its metrics, and the person at the terminal. All hear the same events."""

import re
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict

from shockmesh.cluster.planning.plan import Plan
from shockmesh.cluster.seeing.events import TROUBLE, Event, RunEnded, Tell
from shockmesh.cluster.seeing.progress import Progress
from shockmesh.io.runlog import RunLog
from shockmesh.io.stores.clients import PlaceError
from shockmesh.io.stores.disks import reason
from shockmesh.io.stores.places import Place

WORDS = re.compile(r"(?<!^)(?=[A-Z])")


@contextmanager
def seeing(run: Place, plan: Plan, progress: Progress) -> Generator[Tell]:
    """Tell of a run's events within; afterwards all of them are in its log.

    If the log cannot be written (a full disk, a store that does not answer), that is said, and the run goes on.
    """
    log, name = RunLog(run), str(run)
    metrics: list[Tell] = []

    def tell(event: Event) -> None:
        with _harmless(progress):
            log.write(record(name, event), now=isinstance(event, (*TROUBLE, RunEnded)))
        if not metrics and on_ray():
            from shockmesh.cluster.seeing.metrics import Metrics

            metrics.append(Metrics(name, plan.links * plan.days))
        for count in metrics:
            count(event)
        progress.tell(event)

    try:
        yield tell
    finally:
        with _harmless(progress):
            log.flush()


@contextmanager
def _harmless(progress: Progress) -> Generator[None]:
    try:
        yield
    except OSError as error:
        progress.say(f"the log cannot be written: {reason(error)}")
    except PlaceError as error:
        progress.say(f"the log cannot be written: {error}")


def record(run: str, event: Event) -> dict[str, object]:
    """An event as the log has it.

    >>> from shockmesh.cluster.seeing.events import GangEnded
    >>> record("demo/run", GangEnded(gang=1, message="its node is gone"))
    {'event': 'gang_ended', 'run': 'demo/run', 'gang': 1, 'message': 'its node is gone'}
    """
    return {"event": WORDS.sub("_", type(event).__name__).lower(), "run": run, **asdict(event)}


def on_ray() -> bool:
    """Whether this process is connected to a Ray cluster."""
    ray = sys.modules.get("ray")
    return ray is not None and ray.is_initialized()
