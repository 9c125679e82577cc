"""One sentence in place of whatever the storage libraries raise over a damaged store."""

import traceback
from collections.abc import Generator
from contextlib import contextmanager

from obstore.exceptions import GenericError
from shockmesh.io.stores.places import Place

LIBRARIES = ("zarr", "numcodecs", "xarray")


class DamagedStoreError(ValueError):
    """A store whose bytes are missing, cut or changed. The message names the path and what was found."""


@contextmanager
def reading(path: str | Place) -> Generator[None]:
    """Read a store within. Whatever its libraries raise is reported as damage; other errors pass through.

    Raises:
        DamagedStoreError: a metadata file or a chunk is missing, cut or changed.
    """
    try:
        yield
    except DamagedStoreError:
        raise
    except Exception as error:
        if not _from_a_library(error):
            raise
        if isinstance(error, GenericError):
            raise DamagedStoreError(f"{path}: the store does not answer") from error
        found = str(error).partition("\n")[0] or type(error).__name__
        raise DamagedStoreError(f"{path}: the store is damaged and must be made again ({found})") from error


def _from_a_library(error: Exception) -> bool:
    modules = (str(frame.f_globals.get("__name__")) for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(module.partition(".")[0] in LIBRARIES for module in modules)
