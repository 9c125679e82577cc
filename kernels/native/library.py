"""The built library: loaded once a process, and only if it was built from the sources beside it."""

import ctypes
from functools import cache

import jax
from shockmesh.kernels.native.build import LIBRARY, sources_hash

FORWARD, BACK = "shockmesh_day", "shockmesh_day_back"
VARIANTS = {1: "portable", 2: "AVX2", 3: "AVX-512"}


@cache
def missing() -> str | None:
    """Why there are no native kernels here; None: there are, and XLA knows them."""
    if not LIBRARY.exists():
        return "not built: python -m shockmesh.kernels.native.build"
    try:
        library = ctypes.CDLL(str(LIBRARY))
        library.shockmesh_sources.restype = ctypes.c_char_p
        built_from = library.shockmesh_sources().decode()
    except (OSError, AttributeError) as error:
        return f"{LIBRARY} cannot be loaded: {error}"
    if built_from != sources_hash():
        return f"{LIBRARY} was built from other sources: python -m shockmesh.kernels.native.build"
    for name in (FORWARD, BACK):
        jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(getattr(library, name)), platform="cpu")
    return None


def variant() -> str:
    """The instruction set that calls use here."""
    return VARIANTS[ctypes.CDLL(str(LIBRARY)).shockmesh_variant()]
