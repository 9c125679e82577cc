"""Packaged examples: small data with their licences, and specs that run as they stand.

Each folder of `examples/` with a spec is one example: a README.md whose first line says what it shows, and small data.
"""

from pathlib import Path

EXAMPLES = Path(__file__).with_name("examples")


class ExampleError(ValueError):
    """No example of that name, or files that would be overwritten. The message names them and the rule."""


def list_examples() -> dict[str, str]:
    """Name → one line that says what the example shows, in alphabetical order."""
    return {name: _first_line(folder) for name, folder in _folders().items()}


def copy_example(name: str, directory: str | Path) -> list[Path]:
    """Copy an example's files into a directory, made if need be; return the files written, in order.

    Raises:
        ExampleError: no such example, the directory is a file, or a file of the example is there already.
    """
    folder = _folder(name)
    sources = sorted(path for path in folder.rglob("*") if path.is_file())
    targets = [Path(directory, source.relative_to(folder)) for source in sources]
    _refuse_clash(Path(directory), targets)
    for source, target in zip(sources, targets, strict=True):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    return targets


def _folders() -> dict[str, Path]:
    return {spec.parent.name: spec.parent for spec in sorted(EXAMPLES.glob("*/*.yaml"))}


def _folder(name: str) -> Path:
    folders = _folders()
    if name not in folders:
        raise ExampleError(f"no example «{name}»; there are {', '.join(folders)}")
    return folders[name]


def _first_line(folder: Path) -> str:
    """The first line of the README that is neither empty nor a heading."""
    lines = (folder / "README.md").read_text("utf-8").splitlines()
    return next(line.strip() for line in lines if line.strip() and not line.startswith("#"))


def _refuse_clash(directory: Path, targets: list[Path]) -> None:
    if directory.exists() and not directory.is_dir():
        raise ExampleError(f"{directory}: is a file; an example is copied into a directory")
    there = [str(target) for target in targets if target.exists()]
    if there:
        raise ExampleError(f"{', '.join(there)}: there already; nothing is overwritten, give another directory")
