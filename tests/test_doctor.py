"""The doctor finds what is there and what is wrong, and tells no secret."""

import json
import socket
from pathlib import Path
from typing import Any

import jax
import pytest
from shockmesh.cluster.cli import main
from shockmesh.cluster.verbs import doctor
from shockmesh.kernels import self_test


@pytest.fixture(autouse=True)
def one_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax, "local_devices", lambda: jax.devices()[:1])


@pytest.mark.ray
def test_this_machine_is_fit(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "not-to-be-told")
    assert main(["doctor", "--json"]) == 0
    told = capsys.readouterr().out
    found = json.loads(told)
    assert {"python", "jax", "devices", f"numbers of {jax.devices()[0]}", "disk", "ray starts"} <= found.keys()
    assert found["ray starts"]["verdict"] == "ok"
    assert "AWS_ACCESS_KEY_ID" in found["credentials"]["found"]
    assert "not-to-be-told" not in told


def spoilt(monkeypatch: pytest.MonkeyPatch, firm: int, by: float) -> None:
    """What one firm's consumers get is changed by so much, as a compiler may do that is wrong in one row of many."""
    rollout = self_test.rollout

    def wrong(*inputs: Any, **asked: Any) -> dict[str, jax.Array]:
        return {name: found.at[:, firm].multiply(1 + by) for name, found in rollout(*inputs, **asked).items()}

    monkeypatch.setattr(self_test, "rollout", wrong)


@pytest.mark.parametrize(
    ("by", "found"),
    [(0, "value 28.9, ∂/∂ stock 1, ∂/∂ loss -47.5"), (0.01, "value 29.189 where 28.9 is right"), (float("nan"), "nan")],
)
def test_each_device_computes_what_is_known_exactly(by: float, found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spoilt(monkeypatch, -1, by)
    (number,) = doctor._numbers()
    assert number.what == f"numbers of {jax.devices()[0]}"
    assert found in number.found
    assert number.verdict == ("bad" if by else "ok")


def unreachable(name: str) -> str:
    raise OSError(name)


@pytest.mark.parametrize(
    ("check", "patch", "verdict"),
    [
        ("_disk", (doctor, "FREE_BYTES", 10**18), "warn"),
        ("_packages", (doctor, "PACKAGES", ("no-such-package",)), "bad"),
        ("_temporary", (doctor, "LONGEST_SOCKET_FOLDER", 0), "warn"),
        ("_host", (socket, "gethostbyname", unreachable), "warn"),
        ("_disk", (Path, "cwd", lambda: Path("nowhere")), "bad"),
    ],
)
def test_what_is_wrong_is_found(
    check: str, patch: tuple[object, str, object], verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(*patch)
    (found,) = doctor._safely(getattr(doctor, check))
    assert found.verdict == verdict
    assert verdict == "bad" or found.advice


@pytest.mark.parametrize(("mode", "verdict"), [(0o600, "ok"), (0o640, "warn"), (0o644, "warn")])
def test_a_token_that_others_may_read_is_told(
    mode: int, verdict: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    token = tmp_path / "auth_token"
    token.write_text("secret")
    token.chmod(mode)
    monkeypatch.setattr(doctor, "token_file", lambda: token)
    (found,) = doctor._token()
    assert (found.verdict, "chmod 600" in found.advice) == (verdict, verdict == "warn")
    assert "secret" not in found.line()


def test_what_is_bad_is_an_exit_code(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(doctor, "examine", lambda: [doctor.Finding("ray starts", "bad", "no", "try again")])
    assert main(["doctor"]) == 2
    assert "bad: no – try again" in capsys.readouterr().out
