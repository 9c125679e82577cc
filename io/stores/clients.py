"""Clients of object stores: how they connect, when they ask again, and what is said where they fail."""

import asyncio
import os
import re
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import Any

import obstore.exceptions
import obstore.store

RETRIES: Any = {
    "max_retries": 8,
    "retry_timeout": timedelta(seconds=120),
    "backoff": {"init_backoff": timedelta(seconds=0.1), "max_backoff": timedelta(seconds=10), "base": 2},
}
TIMEOUT = timedelta(seconds=60)  # of an answer
PAUSES = (0.2, 1.0, 5.0)  # seconds, before an answer that broke off is asked for again
TORN = ("request or response body error", "streaming error")  # how clients say that an answer broke off
LATE = ("kind: Timeout",)  # or did not come; it asks again by itself, but not for a conditional put
DENIED = (obstore.exceptions.PermissionDeniedError, obstore.exceptions.UnauthenticatedError, PermissionError)
METADATA = "/latest/api/token"  # where a cloud machine keeps its role's credentials, asked when there are no others
ADDRESS = re.compile(r"https?://\S+")


class PlaceError(ValueError):
    """A place that cannot be reached, read or written. The message names it and the reason, and no credentials."""


def patient[T](at: object, ask: Callable[[], T], lost: tuple[str, ...] = TORN) -> T:
    """What `ask` answers; it is asked again where an answer broke off. Clients themselves ask again where none began.

    Args:
        at: the place, as messages name it.
        lost: what an error says where an answer got lost.

    Raises:
        PlaceError: the store fails, however often it is asked. FileNotFoundError: nothing is there.
    """
    with told(at):
        for pause in PAUSES:
            try:
                return ask()
            except obstore.exceptions.GenericError as error:
                if not any(sign in str(error) for sign in lost):
                    raise
                time.sleep(pause)
        return ask()


def broke_off(error: Exception) -> bool:
    """Whether an error says that an answer began and broke off; in that case clients do not ask again."""
    return any(sign in str(error) for sign in TORN)


async def patiently[T](ask: Callable[[], Awaitable[T]]) -> T:
    """`patient` for Zarr."""
    for pause in PAUSES:
        try:
            return await ask()
        except Exception as error:  # each kind of store has its own
            if not broke_off(error):
                raise
            await asyncio.sleep(pause)
    return await ask()


@contextmanager
def told(at: object) -> Generator[None]:
    """Say where an object store failed, in one line without its credentials."""
    try:
        yield
    except FileNotFoundError:
        raise
    except obstore.exceptions.BaseError as error:
        raise PlaceError(f"{at}: {_reason(error)}") from error
    except (PermissionError, OSError, ValueError) as error:
        if isinstance(error, PlaceError):
            raise
        raise PlaceError(f"{at}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """The cause, from the error's kind and the store's words, without addresses: names and secrets may be in them."""
    if isinstance(error, DENIED):
        return "access denied: are the credentials in the environment right?"
    text = str(error).partition("\n\nDebug source")[0]
    said = ADDRESS.sub("", text)
    causes = (
        ("no such bucket", "NoSuchBucket" in said),
        ("no credentials in the environment (AWS_ACCESS_KEY_ID …)", METADATA in text or "credential" in said.lower()),
        ("the store does not answer", "sending request" in said or "timed out" in said),
        ("the store fails, however often it is asked", "status code: 5" in said),
    )
    known = next((why for why, holds in causes if holds), None)
    return known or f"{type(error).__name__}: {said.partition(chr(10))[0][:200]}"


@cache
def client(bucket: str) -> Any:
    """The client of a bucket (scheme://bucket), one for the whole process."""
    return connect(bucket)


def connect(url: str) -> Any:
    """A client with the environment's settings; it uses plain http only if the endpoint does."""
    plain = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
    options: Any = {"timeout": TIMEOUT, "connect_timeout": "5s", "allow_http": plain}
    return obstore.store.from_url(url, client_options=options, retry_config=RETRIES)
