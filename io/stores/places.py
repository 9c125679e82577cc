"""Where stores and runs are kept: a path of a file system, or a prefix of an object store such as s3://bucket/prefix.

`Remote` has the part of `pathlib.Path` that stores, journals and checkpoints need, so that they are written once for
both. Credentials and endpoints come from the usual environment (AWS_ACCESS_KEY_ID …, AWS_ENDPOINT_URL, an instance's
role); a place holds none, so that it may be pickled, logged and put into a manifest.

Files and trees appear whole. A file is written under another name and renamed, an object is put; a tree is renamed,
or put with its root's `zarr.json` last. `create` takes a name only if it is free (link, If-None-Match).
"""

import os
import shutil
import tempfile
import uuid
import zlib
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import obstore
import obstore.exceptions
from shockmesh.io.stores.clients import LATE, TORN, PlaceError, client, connect, patient, patiently, told
from shockmesh.io.stores.disks import PARTIAL, flush_content, flush_folder, flush_tree, naming
from zarr.abc.store import Store
from zarr.storage import ObjectStore, WrapperStore

ROOT = "zarr.json"  # of a tree: there once the tree is whole
SCHEMES = ("s3", "gs", "az")


@dataclass(frozen=True, order=True)
class Remote:
    """An object of an object store, or the prefix of several."""

    bucket: str  # scheme://bucket
    key: str  # without a slash at either end

    def __str__(self) -> str:
        return f"{self.bucket}/{self.key}"

    def __fspath__(self) -> str:
        raise PlaceError(f"{self}: a local path is needed here")

    def __truediv__(self, name: str) -> "Remote":
        return Remote(self.bucket, f"{self.key}/{name}".strip("/"))

    @property
    def name(self) -> str:
        return self.key.rpartition("/")[2]

    @property
    def stem(self) -> str:
        return self.name.rpartition(".")[0] or self.name

    @property
    def suffix(self) -> str:
        return Path(self.name).suffix

    def resolve(self) -> "Remote":
        return self

    def is_file(self) -> bool:
        return self._head() is not None

    def is_dir(self) -> bool:
        return any(True for _ in self.iterdir())

    def exists(self) -> bool:
        return self.is_file() or self.is_dir()

    def iterdir(self) -> Iterator["Remote"]:
        """What is directly below: objects, then prefixes."""
        found = self._below()
        yield from (Remote(self.bucket, of["path"]) for of in found["objects"])
        yield from (Remote(self.bucket, of) for of in found["common_prefixes"])

    def objects(self) -> list[Any]:
        """What the store says of every object directly below."""
        return self._below()["objects"]

    def glob(self, pattern: str) -> Iterator["Remote"]:
        return (of for of in self.iterdir() if fnmatchcase(of.name, pattern))

    def rglob(self, pattern: str) -> Iterator["Remote"]:
        """Every object below, by its name."""
        found = (Remote(self.bucket, of["path"]) for of in self.listing())
        return (of for of in found if fnmatchcase(of.name, pattern))

    def listing(self) -> list[Any]:
        """What the store says of every object below."""
        return patient(self, lambda: list(obstore.list(client(self.bucket), f"{self.key}/").collect()))

    def read_bytes(self) -> bytes:
        return patient(self, lambda: bytes(obstore.get(client(self.bucket), self.key).bytes()))

    def read_text(self, encoding: str = "utf-8") -> str:
        return self.read_bytes().decode(encoding)

    def unlink(self, missing_ok: bool = False) -> None:
        patient(self, lambda: obstore.delete(client(self.bucket), self.key))

    def size(self) -> int:
        head = self._head()
        return 0 if head is None else head["size"]

    def stamp(self) -> list[Any]:
        """Size and entity tag."""
        head = self._head()
        return [0, None] if head is None else [head["size"], head["e_tag"]]

    def put(self, content: bytes, new: bool) -> bool:
        """Put an object. With `new` only if there is none, or an equal one (whose put lost its answer)."""
        options: Any = {"mode": "create", "use_multipart": False} if new else {}

        def write() -> bool:
            try:
                obstore.put(client(self.bucket), self.key, content, **options)
            except obstore.exceptions.AlreadyExistsError:
                return self.read_bytes() == content
            return True

        return patient(self, write, lost=(*TORN, *LATE))

    def _below(self) -> Any:
        return patient(self, lambda: obstore.list_with_delimiter(client(self.bucket), f"{self.key}/"))

    def _head(self) -> Any:
        try:
            return patient(self, lambda: obstore.head(client(self.bucket), self.key))
        except FileNotFoundError:
            return None


type Place = Path | Remote


def place(at: str | Path | Remote) -> Place:
    """The place that a user names.

    Raises:
        PlaceError: a scheme that is not known, no bucket, or credentials in the name.
    """
    if not isinstance(at, str) or "://" not in at:
        return at if isinstance(at, Remote) else Path(at)
    url = urlsplit(at)
    safe = f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"
    if "@" in url.netloc or url.query:
        raise PlaceError(f"{safe}: credentials do not belong into a name; they come from the environment")
    if url.scheme not in SCHEMES or not url.netloc or not url.path.strip("/"):
        raise PlaceError(f"{safe}: a store is a path, or {', '.join(f'{of}://' for of in SCHEMES)}bucket/prefix")
    return Remote(f"{url.scheme}://{url.netloc}", url.path.strip("/"))


def zarr_store(at: Place, read_only: bool = False) -> Any:
    """What Zarr and xarray open for a place."""
    if isinstance(at, Path):
        return str(at)
    with told(at):
        store = connect(f"{at.bucket}/{at.key}")
    return PatientStore(ObjectStore(store, read_only=read_only))


class PatientStore(WrapperStore):
    """Asks a Zarr store again for an answer that broke off, as `patient` does."""

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        return await patiently(lambda: self._store.get(key, prototype, byte_range))

    def get_ranges(self, key: str, byte_ranges: Any, **limits: Any) -> Any:
        return Store.get_ranges(self, key, byte_ranges, **limits)  # over `get`

    async def set(self, key: str, value: Any) -> None:
        await patiently(lambda: self._store.set(key, value))

    async def list_dir(self, prefix: str) -> AsyncGenerator[str, None]:
        for name in await patiently(lambda: self._listed(prefix)):
            yield name

    async def _listed(self, prefix: str) -> list[str]:
        return [name async for name in self._store.list_dir(prefix)]


def create(at: Place, content: bytes) -> bool:
    """Write a file durably under a new name; False if the name is taken already."""
    if isinstance(at, Remote):
        return at.put(content, new=True)
    with naming(at), _beside(at, content) as partial:
        try:
            os.link(partial, at)
        except FileExistsError:
            return False
    return True


def replace(at: Place, content: bytes) -> None:
    """Write a file durably; it appears in one step, in place of an older one."""
    if isinstance(at, Remote):
        at.put(content, new=False)
        return
    at.parent.mkdir(exist_ok=True)
    with naming(at), _beside(at, content) as partial:
        partial.replace(at)


@contextmanager
def whole(at: Place) -> Generator[Path]:
    """An empty path at which to make a tree, which then moves to its place; if that fails, nothing is left behind.

    Raises:
        FileExistsError: a tree was made there meanwhile.
    """
    if isinstance(at, Remote):
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder, "tree")
            yield made
            upload(made, at)
        return
    at.parent.mkdir(parents=True, exist_ok=True)
    partial = at.with_name(f".{at.name}.{uuid.uuid4().hex}{PARTIAL}")
    try:
        with naming(at):
            yield partial
            flush_tree(partial)
            partial.rename(at)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def discard_partial(at: Place) -> None:
    """Remove what dead processes left half written. Only when nobody writes any more."""
    for litter in [*at.rglob(f"*{PARTIAL}")]:
        if isinstance(litter, Path) and litter.is_dir():
            shutil.rmtree(litter, ignore_errors=True)
        else:
            litter.unlink(missing_ok=True)


def upload(tree: Path, at: Remote) -> None:
    """Put a tree's files, the root's metadata last."""
    files = sorted(file for file in tree.rglob("*") if file.is_file() and file != tree / ROOT)
    for file in files:
        (at / str(file.relative_to(tree))).put(file.read_bytes(), new=False)
    if not (at / ROOT).put((tree / ROOT).read_bytes(), new=True):
        raise FileExistsError(17, "exists already", str(at))


def name_below(at: Place, file: Place) -> str:
    """A file's name relative to a place above it."""
    return str(file).removeprefix(f"{at}/")


def size(at: Place) -> int:
    """Bytes of a file; 0 for a folder, or for a file that vanishes meanwhile."""
    if isinstance(at, Remote):
        return at.size()
    try:
        return at.stat().st_size if at.is_file() else 0
    except FileNotFoundError:
        return 0


def sizes(at: Place) -> dict[str, int]:
    """Bytes of every file below, by its name relative to the place."""
    if isinstance(at, Path):
        return {name_below(at, file): size(file) for file in at.rglob("*") if file.is_file()}
    return {of["path"].removeprefix(f"{at.key}/"): of["size"] for of in at.listing()}


def stamp(at: Place) -> list[Any]:
    """What reveals a changed file: its size, with its CRC-32 or, for an object, its entity tag."""
    if isinstance(at, Remote):
        return at.stamp()
    return checksum(at)


def stamps(at: Place) -> dict[str, list[Any]]:
    """By the name of every file directly below, what reveals a change: size, with time of change or entity tag."""
    if isinstance(at, Remote):
        return {of["path"].rpartition("/")[2]: [of["size"], of["e_tag"]] for of in at.objects()}
    found = [(entry.name, entry.stat()) for entry in os.scandir(at) if entry.is_file()] if at.is_dir() else []
    return {name: [of.st_size, of.st_mtime_ns] for name, of in found}


def checksum(at: Place) -> list[int]:
    """Size and CRC-32 of a file's content, which is read; of equal contents the same wherever they are."""
    content = at.read_bytes()
    return [len(content), zlib.crc32(content)]


def flush_file(path: Place) -> None:
    """Make a file's content and name survive a power cut; those of an object do anyway."""
    if isinstance(path, Path):
        flush_content(path)
        flush_folder(path.parent)


@contextmanager
def _beside(at: Path, content: bytes) -> Generator[Path]:
    """A file of this content beside a place, to be given its name within; otherwise nothing is left of it."""
    partial = at.with_name(f".{at.name}.{uuid.uuid4().hex}{PARTIAL}")
    try:
        with partial.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield partial
    finally:
        partial.unlink(missing_ok=True)
        flush_folder(at.parent)
