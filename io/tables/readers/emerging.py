"""EMERGING (global_mrio_YYYY.mat, EMERGING_V2_YYYY_m.mat): one MATLAB file of version 7.3, which is HDF5, a year.

    z [industry, industry]   f [industry, region category]   va, X [industry]       regions are the outer order
    country_list, sector_list, final_list                                           cells of text

MATLAB stores columns first, so that HDF5 has every array transposed. That z is read the right way round is what its
own output X and value added va say (`claims.py`). What is known of the form is what two public readers know of it,
mrio_toolbox and MARIO; the files themselves (some GB a year) were not at hand.
"""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float
from shockmesh.io.inputs.files import File, Source
from shockmesh.io.sources import About, Said
from shockmesh.io.tables.claims import Foot, Of, Raw
from shockmesh.io.tables.forms.headers import Labels, header_of
from shockmesh.io.tables.forms.years import by_year, found
from shockmesh.io.tables.store import Header, Rows, TableError

NAME = r"(global_mrio_|EMERGING_V\d+_)\d{4}(_m)?\.mat"
LISTS = ("country_list", "sector_list", "final_list")


def fits(source: Source) -> list[File]:
    """The files that are named as EMERGING's."""
    return source.matching(NAME)


def read(source: Source, about: About, said: Said) -> tuple[Header, Raw]:
    """Open the table of a year or of several; the rows of one region are held at a time.

    Raises:
        TableError, SourceError: no such file, or arrays that are not EMERGING's.
    """
    files = found(source, fits(source), "file global_mrio_YYYY.mat or EMERGING_V2_YYYY_m.mat")
    return by_year(source, files, said, partial(_read, about))


def _read(about: About, file: File) -> tuple[Header, Raw]:
    with _arrays(file) as arrays:
        regions, sectors, categories = (_texts(arrays, name) for name in LISTS)
        n, k = len(regions) * len(sectors), len(regions) * len(categories)
        for name, shape in {"z": (n, n), "f": (k, n)}.items():
            if arrays[name].shape != shape:
                rule = (
                    f"its {len(regions)} regions, {len(sectors)} sectors and {len(categories)} categories say {shape}"
                )
                raise TableError(f"{file}: {name}: {arrays[name].shape} as HDF5 has it, {rule}")
    header = header_of(about, file, Labels(regions, sectors, categories))
    return header, lambda year: _rows(file, regions, len(sectors), len(categories))


@contextmanager
def _arrays(file: File) -> Generator[Any]:
    """The arrays of a file, which are variables of their own or parts of the only one."""
    import h5py

    try:
        with file.open() as data, h5py.File(data, "r") as opened:
            inner = [of for name, of in opened.items() if isinstance(of, h5py.Group) and not name.startswith("#")]
            arrays = opened if "z" in opened or len(inner) != 1 else inner[0]
            if missing := [name for name in ("z", "f", *LISTS) if name not in arrays]:
                raise TableError(f"{file}: missing {', '.join(missing)}; there are {', '.join(arrays) or 'none'}")
            yield arrays
    except OSError as error:
        raise TableError(f"{file}: cannot be read as a file of MATLAB 7.3: {error}") from error


def _texts(arrays: Any, name: str) -> list[str]:
    """Cells of text: references to arrays of characters."""
    letters = (arrays.file[cell] for cell in arrays[name][()].ravel())
    return ["".join(map(chr, of[()].ravel())).strip("\0 ") for of in letters]


def _rows(file: File, regions: list[str], sectors: int, categories: int) -> Iterator[Of]:
    with _arrays(file) as arrays:
        for r, region in enumerate(regions):
            flows, final = (_sold(arrays, name, slice(r * sectors, (r + 1) * sectors)) for name in ("z", "f"))
            yield Rows(region, flows.reshape(sectors, -1, sectors), final.reshape(sectors, -1, categories))
        added, output = (
            np.asarray(arrays[name], np.float64).reshape(len(regions), sectors) if name in arrays else None
            for name in ("va", "X")
        )
        yield Foot(added, output)


def _sold(arrays: Any, name: str, industries: slice) -> Float[np.ndarray, "sector column"]:
    """What some industries sell: rows for MATLAB, columns for HDF5."""
    return np.asarray(arrays[name][:, industries], np.float64).T
