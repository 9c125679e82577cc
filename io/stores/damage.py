"""One sentence in place of whatever the storage libraries raise over a damaged store."""

import math
import traceback
from collections.abc import Generator
from contextlib import contextmanager

import zarr
from obstore.exceptions import GenericError
from shockmesh.io.stores.places import Place, sizes

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


def check_claim(at: Place, array: zarr.Array, spare: int = 0) -> None:
    """Refuse an array that claims more than there are files for, before room is made for it.

    Args:
        at: the store that the array is in.
        spare: files that need not be there: a chunk of nothing but the fill value is not written.

    Raises:
        DamagedStoreError: files are missing.
    """
    claimed = math.prod(-(-n // of_file) for n, of_file in zip(array.shape, array.shards or array.chunks, strict=True))
    there = len(sizes(at / array.path / "c"))
    if there < claimed - spare:
        claim = f"claims {array.size:,} values in {claimed:,} files, of which {there:,} are there"
        raise DamagedStoreError(f"{at}: {array.basename}: {claim}; make the store again")


def _from_a_library(error: Exception) -> bool:
    modules = (str(frame.f_globals.get("__name__")) for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(module.partition(".")[0] in LIBRARIES for module in modules)
