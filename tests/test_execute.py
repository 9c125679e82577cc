"""The policy above the workers, without Ray: what runs again, what is given up, in whatever order outcomes come."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shockmesh.cluster.running.execute import HOPELESS, LocalExecutor, Note, Outcome, Tally, WorkersError, execute
from shockmesh.cluster.running.work import Overlap

LOSSES = {"lost": (True, "here"), "node": (True, "gone"), "bystander": (False, "here")}  # at work?, on which node


class Scripted:
    """Workers whose fate is written down: block → the outcomes of its attempts, in order; done afterwards."""

    def __init__(self, fates: dict[int, list[str]], room: int = 4, order: int = 0) -> None:
        self.fates = {block: deque(fate) for block, fate in fates.items()}
        self.flying, self.size, self.order, self.attempts = deque[int](), room, order, dict[int, int]()

    @property
    def room(self) -> int:
        return self.size - len(self.flying)

    @property
    def idle(self) -> int:
        return self.room

    def gone(self, nodes: tuple[str, ...]) -> bool:
        return "gone" in nodes

    def share(self, value: object) -> None:
        raise AssertionError

    def submit(self, block: int) -> None:
        assert self.room > 0
        self.attempts[block] = self.attempts.get(block, 0) + 1
        self.flying.append(block)

    def outcomes(self) -> list[Outcome]:
        self.flying.rotate(self.order)
        block = self.flying.popleft()
        fate = self.fates.get(block)
        kind = fate.popleft() if fate else "done"
        if kind in LOSSES:
            charged, node = LOSSES[kind]
            return [Outcome(block, "lost", message="died", charged=charged, nodes=(node,))]
        return [Outcome(block, "error", message="bad")] if kind == "error" else [Outcome(block, "done", {"n": block})]

    def close(self) -> None:
        self.flying.clear()


@pytest.mark.parametrize(
    ("fate", "attempts", "given_up"),
    [
        ([], 1, None),
        (["lost"], 2, None),
        (["lost", "lost"], 3, None),
        (["lost", "lost", "lost"], 3, "cost 3 workers; the last: died"),
        (["error"], 1, "bad"),
        (["lost", "error"], 2, "bad"),
        (["bystander"] * 5, 6, None),
        (["bystander", "lost", "bystander", "lost", "bystander"], 6, None),
        (["node"] * 19, 20, None),
        (["node", "lost", "node", "lost", "node"], 6, None),
        (["node"] * 20, 20, "cost 20 nodes; the last: died"),
        (["node", "lost", "lost", "lost"], 4, "cost 3 workers and 1 node; the last: died"),
    ],
)
def test_what_becomes_of_a_block(fate, attempts, given_up):
    executor = Scripted({1: fate})
    tally = execute(range(3), executor)
    assert executor.attempts[1] == attempts
    assert tally.given_up == ({} if given_up is None else {1: given_up})
    assert set(tally.done) == ({0, 1, 2} if given_up is None else {0, 2})


FATES = st.lists(st.sampled_from([*LOSSES, "error"]), max_size=4)


@given(fates=st.dictionaries(st.integers(0, 9), FATES), room=st.integers(1, 5), order=st.integers(0, 7))
def test_every_block_ends_once_in_any_order(fates, room, order):
    executor = Scripted({block: list(fate) for block, fate in fates.items()}, room, order)
    tally = execute(range(10), executor)
    assert not executor.flying
    assert not set(tally.done) & set(tally.given_up)
    bad = {block for block, fate in fates.items() if "error" in fate or fate.count("lost") >= 3}
    assert set(tally.given_up) <= bad
    assert not set(tally.done) & bad
    if not tally.stopped:
        assert set(tally.done) | set(tally.given_up) == set(range(10))
    if len(bad) < HOPELESS:
        assert not tally.stopped


@pytest.mark.parametrize(
    ("fate", "why", "workers"),
    [
        (["error"], "bad", {0: 1, 1: 1, 2: 1, 3: 1, 4: 1}),
        (["lost", "lost", "lost"], "cost 3 workers; the last: died", {0: 1, 1: 1, 2: 3, 3: 3, 4: 3}),
    ],
)
def test_a_fault_that_is_not_the_blocks_ends_the_run(fate, why, workers):
    executor = Scripted({block: list(fate) for block in range(2, 1000)}, room=1)
    tally = execute(range(1000), executor)
    assert executor.attempts == workers
    assert (set(tally.done), set(tally.given_up)) == ({0, 1}, {2, 3, 4})
    assert tally.stopped == f"3 blocks in a row failed; the last: {why}"


def test_without_workers_the_run_ends_and_says_why():
    class Deserted(Scripted):
        def outcomes(self) -> list[Outcome]:
            if len(self.attempts) > 2:
                raise WorkersError("no workers: all died")
            return super().outcomes()

    seen: list[str] = []
    tally = execute(range(10), Deserted({}, room=1), lambda tally: seen.append(tally.stopped))
    assert (set(tally.done), tally.stopped) == ({0, 1}, "no workers: all died")
    assert seen == ["", "", "no workers: all died"]


def test_the_watcher_sees_every_step():
    seen: list[int] = []
    execute(range(4), Scripted({}), lambda tally: seen.append(len(tally.done)))
    assert seen == [1, 2, 3, 4]


class Clockwork:
    """Workers, one block each, that take a second a block, but for the first copy of some: those take theirs."""

    def __init__(self, workers: int, slow: dict[int, float]) -> None:
        self.workers, self.slow, self.now, self.given = workers, slow, 0.0, list[int]()
        self.ends: list[tuple[float, int]] = []

    @property
    def room(self) -> int:
        return self.workers - len(self.ends)

    @property
    def idle(self) -> int:
        return self.room

    def gone(self, nodes: tuple[str, ...]) -> bool:
        return False

    def share(self, value: object) -> None:
        raise AssertionError

    def submit(self, block: int) -> None:
        assert self.room > 0
        assert [flying for _, flying in self.ends].count(block) < 2
        self.ends.append((self.now + (1.0 if block in self.given else self.slow.get(block, 1.0)), block))
        self.given.append(block)

    def outcomes(self) -> list[Outcome]:
        self.now += 0.5
        over = [block for end, block in self.ends if end <= self.now]
        self.ends = [(end, block) for end, block in self.ends if end > self.now]
        return [Outcome(block, "done", {"at": self.now}) for block in over]

    def close(self) -> None:
        self.ends.clear()


@pytest.mark.parametrize(
    ("slow", "copied", "seconds"),
    [
        ({}, [], 5.0),
        ({3: 7.0}, [], 8.0),  # the other worker is busy until it is done
        ({3: 1e9}, [3], 9.0),
        ({9: 5.0}, [], 9.0),  # not late enough
        ({9: 1e9}, [9], 10.5),
        ({9: 6.0}, [9], 10.0),  # the slow copy is the first after all
    ],
)
def test_a_block_that_takes_much_too_long_is_given_to_an_idle_worker_too(slow, copied, seconds):
    workers = Clockwork(2, slow)
    tally = execute(range(10), workers, clock=lambda: workers.now)
    assert set(tally.done) == set(range(10))
    assert sorted(workers.given) == sorted([*range(10), *copied])
    assert workers.now == seconds


@given(slow=st.dictionaries(st.integers(0, 9), st.floats(0.1, 1e9), max_size=2))
def test_stragglers_never_hold_up_a_run_that_has_an_idle_worker(slow: dict[int, float]):
    workers = Clockwork(3, slow)
    tally = execute(range(10), workers, clock=lambda: workers.now)
    assert set(tally.done) == set(range(10))
    assert max(map(workers.given.count, range(10))) <= 2
    assert workers.now < 25


def test_a_lost_copy_leaves_the_other_at_work():
    class Frail(Clockwork):
        def outcomes(self) -> list[Outcome]:
            if self.given.count(0) == 2 and not self.died:
                self.died = True
                self.ends.remove(next(end for end in self.ends if end[1] == 0))
                return [Outcome(0, "lost", message="died")]
            return super().outcomes()

        died = False

    workers = Frail(2, {0: 1e9})
    tally = execute(range(4), workers, clock=lambda: workers.now)
    assert (set(tally.done), tally.lost, workers.given.count(0)) == ({0, 1, 2, 3}, 1, 3)


def test_this_process_as_a_worker():
    def work(block: int, shared: int) -> Callable[[], Note]:
        part = shared // (block - 2)
        return lambda: {"part": part}

    worker = LocalExecutor(work)
    worker.share(10)
    tally: Tally = execute(range(4), worker)
    assert tally.done == {0: {"part": -5}, 1: {"part": -10}, 3: {"part": 10}}
    assert tally.given_up == {2: "ZeroDivisionError: integer division or modulo by zero"}


@pytest.mark.parametrize("arrivals", [*permutations(range(3))])
def test_a_block_is_committed_while_the_next_is_computed(arrivals):
    """In the order of the turns: Ray hands an actor with such methods its calls in any order."""
    computing, events = threading.Event(), list[str]()

    def work(block: int, shared: None) -> Callable[[], Note]:
        events.append(f"compute {block}")
        if block == 1:
            computing.set()

        def commit() -> Note:
            assert computing.wait(10), "block 1 is not computed before block 0 is committed"
            events.append(f"commit {block}")
            if block == 1:
                raise OSError("disk full")
            return {"block": block}

        return commit

    async def all_three() -> list[Note | BaseException]:
        overlap = Overlap(work)
        calls = {turn: asyncio.ensure_future(overlap.run(turn, turn, None)) for turn in arrivals}
        return await asyncio.gather(*(calls[turn] for turn in range(3)), return_exceptions=True)

    first, second, third = asyncio.run(all_three())
    assert (first, third) == ({"block": 0}, {"block": 2})
    assert isinstance(second, OSError)
    for kind in ("compute", "commit"):
        assert [event for event in events if event.startswith(kind)] == [f"{kind} {block}" for block in range(3)]
