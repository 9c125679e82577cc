"""Sources as users hold them: a file, a folder or an archive, compressed or not, all read in one way.

    source = open_source("WIOTS_in_EXCEL.zip")     # or a folder, a .csv.gz, a workbook
    for file in source.matching(r"WIOT\\d{4}_.*"): file.open()

`.zip` is an archive, in a folder too; `.gz`, `.bz2`, `.xz` are undone and left out of a file's name. Nothing is
unpacked on disk.
"""

import bz2
import gzip
import lzma
import re
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from io import BufferedReader, BytesIO, RawIOBase, TextIOWrapper
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, TextIO

COMPRESSED: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
ENCODINGS = ("utf-8-sig", "cp1252")
MOST_FILES = 20_000
HEAD = 65_536
READ_AHEAD = 2**20  # bytes
OURS_ALONE = re.compile(r"(^|/)(\.|~\$|__MACOSX/)")  # what systems and programs put beside a user's files


class SourceError(ValueError):
    """A source that cannot be opened. The message names the path and the rule."""


@dataclass(frozen=True)
class File:
    """A file on disk or in an archive, read as it was before it was compressed."""

    at: Path | zipfile.Path

    def __str__(self) -> str:
        return str(self.at)

    @property
    def name(self) -> str:
        """Its name, without the suffix of a compressor."""
        name = PurePosixPath(self.at.name)
        return name.stem if name.suffix.lower() in COMPRESSED else name.name

    @property
    def stem(self) -> str:
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        """In small letters, with its dot."""
        return PurePosixPath(self.name).suffix.lower()

    @property
    def folder(self) -> str:
        """The name of the folder that it is in, or of the archive."""
        return self._parent.name if isinstance(self._parent, Path) or self._parent.at else ""

    @property
    def _parent(self) -> Path | zipfile.Path:
        parent: Any = self.at.parent
        return parent

    def beside(self, name: str) -> "File | None":
        """The file of that name in the same folder."""
        other = self._parent / name
        return File(other) if other.is_file() else None

    def open(self) -> BinaryIO:
        """Its bytes, as a stream.

        Raises:
            SourceError: it cannot be opened; and, from the stream, where it is damaged.
        """
        undo = COMPRESSED.get(PurePosixPath(self.at.name).suffix.lower())
        with reading(self):
            raw: Any = self.at.open("rb")
            if not undo and isinstance(self.at, Path):
                return raw
            return BufferedReader(_Packed(self, raw, undo(raw) if undo else raw), READ_AHEAD)

    def text(self, encoding: str = "utf-8-sig") -> TextIO:
        """Its text, as a stream, line ends as they are."""
        return TextIOWrapper(self.open(), encoding=encoding, newline="")

    def read(self) -> BytesIO:
        """All its bytes, in memory."""
        with self.open() as data:
            return BytesIO(data.read())

    def head(self, length: int = HEAD) -> bytes:
        """Its first bytes."""
        with self.open() as data:
            return data.read(length)

    @cached_property
    def first_line(self) -> str:
        """Its first line as text, read once, since many kinds look at it; empty where its first bytes are no text."""
        try:
            with self.text() as lines:
                return lines.readline().rstrip("\r\n")
        except UnicodeDecodeError:
            return ""


UNOPENED = (OSError, EOFError, zipfile.BadZipFile, lzma.LZMAError, zlib.error)
OF_ARCHIVES = (RuntimeError, NotImplementedError, KeyError)  # a password, a method that is not known, no such member


@contextmanager
def reading(file: File) -> Generator[None]:
    """Turn what is raised inside at a file that cannot be read into one sentence with its name."""
    try:
        yield
    except (*UNOPENED, *OF_ARCHIVES) as error:
        raise SourceError(f"{file}: cannot be read, damaged perhaps: {str(error).strip()}") from error


class _Packed(RawIOBase):
    """The bytes of a file that is compressed or in an archive; damage is told with its name."""

    def __init__(self, file: File, raw: Any, bytes_: Any) -> None:
        self.file, self.raw, self.bytes = file, raw, bytes_

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self.bytes.seekable()

    def tell(self) -> int:
        return self.bytes.tell()

    def seek(self, offset: int, whence: int = 0) -> int:
        with reading(self.file):
            return self.bytes.seek(offset, whence)

    def readinto(self, buffer: Any) -> int:
        with reading(self.file):
            return self.bytes.readinto(buffer)

    def close(self) -> None:
        self.bytes.close()
        self.raw.close()
        super().close()


@dataclass(frozen=True)
class Source:
    """What a user hands in, and every file in it."""

    path: Path
    files: tuple[File, ...]

    def __str__(self) -> str:
        return str(self.path)

    def matching(self, pattern: str) -> list[File]:
        """The files whose whole name matches, in any case, sorted by name."""
        return sorted(
            (file for file in self.files if re.fullmatch(pattern, file.name, re.I)), key=lambda file: file.name
        )

    def one(self, pattern: str, what: str) -> File:
        """The one file of a name.

        Raises:
            SourceError: none, or several.
        """
        found = self.matching(pattern)
        if len(found) != 1:
            raise SourceError(f"{self}: {len(found)} files {what}, expected one")
        return found[0]


def open_source(path: str | Path) -> Source:
    """List what is in a file, a folder or an archive; nothing is read yet.

    Raises:
        SourceError: nothing there, an archive that cannot be opened, or more than 20,000 files.
    """
    path = Path(path)
    if not path.exists():
        raise SourceError(f"{path}: no such file or folder")
    files: list[File] = []
    for file in _walk(path):
        files.append(file)
        if len(files) > MOST_FILES:
            raise SourceError(f"{path}: more than {MOST_FILES:,} files; hand in the folder that holds the table alone")
    if not files:
        raise SourceError(f"{path}: no file in it")
    return Source(path, tuple(files))


def _walk(path: Path) -> Iterator[File]:
    if path.is_dir():
        for at in sorted(path.rglob("*")):
            if at.is_file() and not OURS_ALONE.search(at.relative_to(path).as_posix()):
                yield from _members(at)
    else:
        yield from _members(path)


def _members(at: Path) -> Iterator[File]:
    if at.suffix.lower() != ".zip":
        yield File(at)
        return
    try:
        archive = zipfile.Path(at)
        names: list[str] = archive.root.namelist()
    except UNOPENED as error:
        raise SourceError(f"{at}: cannot be read as an archive: {error}") from error
    yield from (
        File(archive.joinpath(name)) for name in sorted(names) if not name.endswith("/") and not OURS_ALONE.search(name)
    )
