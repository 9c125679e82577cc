"""EXIOBASE 3, as downloaded: IOT_YYYY_ixi.zip or _pxp.zip, each a system that pymrio saved (`saved.py`)."""

import re

from shockmesh.io.inputs.files import File, Source
from shockmesh.io.tables.readers import saved

read = saved.read


def fits(source: Source) -> list[File]:
    """Systems that say that they are EXIOBASE, or are named as its own."""
    return [file for file in saved.systems(source) if is_exiobase(source, file)]


def is_exiobase(source: Source, parameters: File) -> bool:
    """Whether a system's notes or its folder's name say so."""
    notes = saved.notes(parameters)
    said = " ".join(str(notes.get(name, "")) for name in ("name", "description"))
    named = (parameters.folder, source.path.stem)
    return "exiobase" in said.lower() or any(re.fullmatch(r"IOT_\d{4}_(ixi|pxp)", name) for name in named)
