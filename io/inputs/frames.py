"""Files that hold data frames: Parquet, R's .RData, .rda and .rds, Stata's .dta. None of them can run code."""

import struct
import warnings
from typing import Any

import pandas as pd
from shockmesh.io.inputs.files import UNOPENED, File, SourceError

PARQUET = (".parquet", ".par", ".parq")
R_DATA = (".rdata", ".rda", ".rds")
FRAMES = (*PARQUET, *R_DATA, ".dta")


def read_frame(file: File) -> Any:
    """The one data frame of a file, as pandas has it.

    Raises:
        SourceError: it cannot be read, or holds none or several.
    """
    if file.suffix in R_DATA:
        found = [value for value in read_r(file).values() if isinstance(value, pd.DataFrame)]
        if len(found) != 1:
            raise SourceError(f"{file}: {len(found)} data frames, expected one")
        return found[0]
    data = file.read()
    try:
        return pd.read_stata(data) if file.suffix == ".dta" else pd.read_parquet(data)
    except (ValueError, OSError, struct.error) as error:
        raise SourceError(f"{file}: cannot be read: {str(error).strip()}") from error


def read_r(file: File) -> dict[str, Any]:
    """What R saved, by name: data frames, and lists and arrays as they are; of .rds, under the file's name.

    Raises:
        SourceError: it cannot be read.
    """
    import rdata

    data = file.read().getvalue()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of classes that R knows and we need not
            found = rdata.conversion.convert(rdata.parser.parse_data(data))
    except (ValueError, NotImplementedError, LookupError, *UNOPENED) as error:
        raise SourceError(f"{file}: cannot be read as data of R: {str(error).strip()}") from error
    return {str(name): value for name, value in found.items()} if isinstance(found, dict) else {file.stem: found}
