"""A signal that ends a run is heard, whatever the process is at."""

import gc
import signal
import sys
import time

import pytest
from shockmesh.cluster.running.executors import interruptible


@pytest.mark.parametrize("raises", [KeyboardInterrupt, SystemExit])
def test_a_signal_that_comes_while_garbage_is_collected_is_not_lost(
    raises: type[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    """Ray's handler raises SystemExit while Ray starts."""
    came, hook, handler = list[str](), sys.unraisablehook, signal.getsignal(signal.SIGTERM)

    def callback(phase: str, info: dict[str, int]) -> None:
        if not came:
            came.append(phase)
            raise raises

    def collect_and_wait() -> None:
        gc.collect()
        time.sleep(10)

    gc.callbacks.append(callback)
    with pytest.raises(KeyboardInterrupt), interruptible():
        collect_and_wait()
    gc.callbacks.remove(callback)
    assert sys.unraisablehook is hook
    assert signal.getsignal(signal.SIGTERM) is handler
    assert capsys.readouterr().err == ""


def test_other_exceptions_that_are_ignored_are_told_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    told = list[type[BaseException]]()
    monkeypatch.setattr(sys, "unraisablehook", lambda lost: told.append(lost.exc_type))

    class Falls:
        def __del__(self) -> None:
            raise OSError

    with interruptible():
        Falls()
    assert told == [OSError]
