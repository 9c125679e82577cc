"""What a user corrects in what was recognised of a sheet: a YAML file, whose every key may be left out.

sheet: "tbl_10bis"
label_row: 6            # the line of the sectors' labels, as the program that shows it counts
label_column: B
first: "01"             # the first and the last sector
last: "97-98"
final: [F010, F020]     # columns of final demand that look like sums
left_out: [T001]        # columns that are no final demand
imports: [F050]
output: "T008"          # the row of output; `sums` takes the sums of the rows, where there is none
"""

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from shockmesh.io.tables.store import TableError

Text = Annotated[str, BeforeValidator(lambda value: str(value) if isinstance(value, int) else value)]


class Corrections(BaseModel):
    """What a user says of a sheet."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sheet: Text | None = None
    label_row: int | None = Field(default=None, ge=1)
    label_column: str | None = Field(default=None, pattern=r"^[A-Za-z]{1,2}$")
    first: Text | None = None
    last: Text | None = None
    final: tuple[Text, ...] = ()
    left_out: tuple[Text, ...] = ()
    imports: tuple[Text, ...] = ()
    output: Text | None = None

    @property
    def column(self) -> int | None:
        """The label column, from 0."""
        if self.label_column is None:
            return None
        number = 0
        for letter in self.label_column.upper():
            number = 26 * number + ord(letter) - ord("A") + 1
        return number - 1

    def is_final(self, label: str) -> bool:
        return label in self.final or label in self.imports

    def leaves_out(self, label: str) -> bool:
        return label in self.left_out

    def is_import(self, label: str) -> bool:
        return label in self.imports

    def is_output(self, label: str) -> bool:
        return label == self.output


NOTHING = Corrections()


def read_corrections(path: Path) -> Corrections:
    """Read a file of corrections.

    Raises:
        TableError: no such file, no YAML, or a key or value that means nothing.
    """
    try:
        return Corrections.model_validate(yaml.safe_load(path.read_text("utf-8")) or {})
    except OSError as error:
        raise TableError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise TableError(f"{path}: cannot be read as YAML: {error}") from error
    except ValidationError as error:
        problems = (f"{path}: {'.'.join(map(str, of['loc']))}: {of['msg']}" for of in error.errors())
        raise TableError("\n".join(problems)) from error
