"""Build the native day with this machine's C++ compiler: `python -m shockmesh.kernels.native.build`.

One library, next to its sources, for all processors of this machine's architecture: on x86-64 for AVX-512, AVX2 and
any, of which each call takes the widest that the processor has; elsewhere the portable one. At run time it needs
nothing but the C library. A wheel that is built afterwards ships it (see DESIGN.md).
"""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import jax

FOLDER = Path(__file__).parent
LIBRARY = FOLDER / "libday.so"
SOURCES = "day.hpp", "ffi.cpp", "firms.hpp", "lanes.hpp", "links.hpp", "single.hpp", "variant.cpp"
COMPILERS = "c++", "g++", "clang++"
# No product and sum is contracted: every instruction set gives the same bits.
FLAGS = (
    "-std=c++17",
    "-O3",
    "-fPIC",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fvisibility=hidden",
)
VARIANTS = {  # bytes of a vector, and flags
    "portable": (16, ()),
    "avx2": (32, ("-mavx2",)),
    "avx512": (64, ("-mavx512f", "-mavx512dq", "-mavx512vl", "-mavx512bw", "-mprefer-vector-width=512")),
}


class BuildError(Exception):
    """The library could not be built."""


def sources_hash() -> str:
    """Names what a library was built from."""
    return sha256(b"".join((FOLDER / name).read_bytes() for name in SOURCES)).hexdigest()[:16]


def build(library: Path = LIBRARY) -> None:
    """Compile the library.

    Raises:
        BuildError: there is no compiler, or it failed.
    """
    named = os.environ.get("CXX")
    compiler = shutil.which(named) if named else next(filter(None, map(shutil.which, COMPILERS)), None)
    if compiler is None:
        raise BuildError(f"no C++ compiler: looked for {named or ', '.join(COMPILERS)}")
    x86 = platform.machine() in ("x86_64", "AMD64")
    with tempfile.TemporaryDirectory() as folder:
        parts = {name: Path(folder) / f"{name}.o" for name in (VARIANTS if x86 else ("portable",))}
        source = FOLDER / "variant.cpp"
        commands: list[list[str | Path]] = [
            [compiler, *FLAGS, *flags, f"-DVARIANT={name}", f"-DVECTOR_BYTES={width}", "-c", source, "-o", at]
            for name, at in parts.items()
            for width, flags in [VARIANTS[name]]
        ]
        calls = Path(folder) / "ffi.o"
        headers = f"-I{jax.ffi.include_dir()}", f'-DSOURCES="{sources_hash()}"'
        commands.append([compiler, *FLAGS, "-w", *headers, "-c", FOLDER / "ffi.cpp", "-o", calls])
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(_run, commands))
        made = Path(folder) / library.name
        own = ("-static-libstdc++", "-static-libgcc") if sys.platform == "linux" else ()
        _run([compiler, "-shared", *own, *parts.values(), calls, "-o", made])
        shutil.copyfile(made, new := library.with_suffix(f".{os.getpid()}"))
        new.replace(library)  # whole, for a process that loads it at this moment


def _run(command: list[str | Path]) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"{command[0]} failed: {done.stderr.strip()[-2000:]}")


def main() -> int:
    """Build, or say why not. Without the library everything works, by XLA."""
    try:
        build()
    except BuildError as error:
        sys.stdout.write(f"native kernels: not built: {error}; days are computed by XLA\n")
        return 0
    sys.stdout.write(f"native kernels: built {LIBRARY}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
