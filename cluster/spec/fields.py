"""The types of a spec's fields: what a number, a name, a file or a size may be."""

import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    PlainValidator,
    Strict,
    Tag,
)
from shockmesh.cluster.spec.distributions import Distribution, Scalar, parse_distribution, same_kind
from shockmesh.cluster.spec.domains import DOMAINS

SURVEYED = "surveyed"  # what a spec says for the criticality that ships (`io/inputs/survey`), in place of a file
UNITS = {"": 1, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def _in_folder(name: str, info: Any) -> str:
    """A file name, made absolute from the spec's folder. Raises ValueError if it names none."""
    if not name.strip():
        raise ValueError("must name a file or a store")
    folder: Path | None = (info.context or {}).get("folder")
    return name if folder is None or "://" in name else os.path.realpath(folder / name)


def _one_or_more(value: object) -> object:
    return [value] if isinstance(value, str | int) and not isinstance(value, bool) else value


def _id_text(value: object) -> object:
    """The id of a firm or an event is a text; without quotes it may look like a number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def known(kind: str, names: Sequence[str], value: str) -> str:
    """One of some names. Raises ValueError, with all of them, if it is none."""
    if value not in names:
        raise ValueError(f"no such {kind}; there are {', '.join(names)}")
    return value


def byte_text(text: str) -> str:
    """A text that says bytes, or auto. Raises ValueError as `parse_bytes`."""
    if text != "auto":
        parse_bytes(text)
    return text


def parse_bytes(text: str) -> int:
    """Bytes in a text such as `8 GB` or `512 MiB`. Raises ValueError if it is not one."""
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([KMGT]i?)?B?\s*", text)
    if not found or float(found[1]) == 0:
        raise ValueError("must be auto, or a size such as 8 GB or 512 MiB")
    return int(float(found[1]) * UNITS[found[2] or ""])


class Frozen(BaseModel):
    """A part of a spec: it does not change, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)


def key(default: Any, meaning: str, example: Any = None, **more: Any) -> Any:
    """A key of a spec: its default (`...` if it must be given), and its meaning, which ends with the unit in brackets.

    `shockmesh explain`, the reference and the schema for editors are made from this (`schema.py`).
    """
    return Field(default, description=meaning, examples=None if example is None else [example], **more)


FilePath = Annotated[str, AfterValidator(_in_folder)]
SurveyOrFile = Annotated[str, AfterValidator(lambda name, info: name if name == SURVEYED else _in_folder(name, info))]


class PerFirm[N](Frozen):
    """A number for each firm: the last that applies of default, by_region, by_sector, file."""

    default: N | None = key(None, "for all firms that nothing below names", 10)
    by_region: dict[str, N] = key({}, "region → number, for its firms", {"DEU": 8})
    by_sector: dict[str, N] = key({}, "sector → number, for its firms, in place of the region's", {"D35": 5})
    file: FilePath | None = key(
        None, "CSV with columns firm, value; a firm's own number counts before all others", "days.csv"
    )


def _value_tag(value: object) -> str:
    return "per firm" if isinstance(value, dict | PerFirm) else "number"


type Value[N] = Annotated[
    Annotated[N, Tag("number")] | Annotated[PerFirm[N], Tag("per firm")], Discriminator(_value_tag)
]
InventoryDays = Annotated[float, Strict(), AfterValidator(DOMAINS["inventory_days"].check)]
INFINITE = ("inf", "Inf", "infinity", "Infinity")  # as BoARIO writes it


def _infinite(value: object) -> object:
    return math.inf if value in INFINITE else value


def _stock_days(value: float) -> float:
    return value if value == math.inf else DOMAINS["inventory_days"].check(value)


StockDays = Annotated[  # days of use, or inf, which is written as a text: JSON has no number for it
    float, Strict(), AfterValidator(_stock_days),
    BeforeValidator(_infinite, json_schema_input_type=Annotated[float, Field(ge=1)] | Literal["inf"]),
    PlainSerializer(lambda days: "inf" if days == math.inf else days, float | str),
]  # fmt: skip
AdjustmentDays = Annotated[float, Strict(), AfterValidator(DOMAINS["adjustment_days"].check)]
Capacity = Annotated[float, Strict(), AfterValidator(DOMAINS["capacity"].check)]
Elasticity = Annotated[float, Strict(), AfterValidator(DOMAINS["elasticity"].check)]
InventoryThreshold = Annotated[float, Strict(), AfterValidator(DOMAINS["inventory_threshold"].check)]
OverproductionDays = Annotated[float, Strict(), AfterValidator(DOMAINS["overproduction_days"].check)]
HouseholdShare = Annotated[float, Strict(), AfterValidator(DOMAINS["household_share"].check)]
ConsumptionPersistence = Annotated[float, Strict(), AfterValidator(DOMAINS["consumption_persistence"].check)]
BenefitShare = Annotated[float, Strict(), AfterValidator(DOMAINS["benefit_share"].check)]
PassThrough = Annotated[float, Strict(), AfterValidator(DOMAINS["pass_through"].check)]
Scarcity = Annotated[float, Strict(), AfterValidator(DOMAINS["scarcity"].check)]
Substitution = Annotated[float, Strict(), AfterValidator(DOMAINS["elasticity_within"].check)]
Sensitivity = Annotated[float, Strict(), AfterValidator(DOMAINS["sensitivity"].check)]
Pull = Annotated[float, Strict(), AfterValidator(DOMAINS["pull"].check)]
SearchDays = Annotated[float, Strict(), AfterValidator(DOMAINS["search_days"].check)]
Turnover = Annotated[float, Strict(), AfterValidator(DOMAINS["turnover"].check)]
PriceRise = Annotated[float, Strict(), AfterValidator(DOMAINS["rise"].check)]
Loss = Annotated[float, Strict(), AfterValidator(DOMAINS["loss"].check)]
Onset = Annotated[float, Strict(), AfterValidator(DOMAINS["onset"].check)]
RecoveryStart = Annotated[float, Strict(), AfterValidator(DOMAINS["recovery_start"].check)]
CapitalDays = Annotated[float, Strict(), AfterValidator(DOMAINS["capital_days"].check)]
Cost = Annotated[float, Strict(), AfterValidator(DOMAINS["cost"].check)]
Worth = Annotated[float, Strict(), AfterValidator(DOMAINS["worth"].check)]
RecoveryDays = Annotated[float, Strict(), AfterValidator(DOMAINS["recovery_days"].check)]
Duration = Annotated[float, Strict(), AfterValidator(DOMAINS["duration"].check)]
DaysBetweenFailures = Annotated[float, Strict(), AfterValidator(DOMAINS["days_between_failures"].check)]
RepairDays = Annotated[float, Strict(), AfterValidator(DOMAINS["repair_days"].check)]
DelayDays = Annotated[float, Strict(), AfterValidator(DOMAINS["delay_days"].check)]
Stages = Annotated[int, Strict(), Field(ge=1, le=100)]
DetourDays = Annotated[float, Strict(), AfterValidator(DOMAINS["detour_days"].check)]
Share = Annotated[float, Strict(), AfterValidator(DOMAINS["share"].check)]
MOST = 10_000_000  # members of a sweep, days, steps: more is a typing error
Count = Annotated[int, Strict(), Field(ge=1, le=MOST)]
Year = Annotated[int, Strict(), Field(ge=1000, le=9999)]
NoiseShare = Annotated[float, Strict(), AfterValidator(DOMAINS["noise"].check)]
Spread = Annotated[float, Strict(), AfterValidator(DOMAINS["spread"].check)]
Doubt = Annotated[float, Strict(), AfterValidator(DOMAINS["doubt"].check)]
Rate = Annotated[float, Strict(), AfterValidator(DOMAINS["rate"].check)]
Temperature = Annotated[float, Strict(), AfterValidator(DOMAINS["temperature"].check)]
Correlation = Annotated[float, Strict(), AfterValidator(DOMAINS["correlation"].check)]
Window = tuple[Annotated[int, Strict(), Field(ge=0)], Count]
Name = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$",
        description="what it is called in paths of a sweep, notes and reports",
        examples=["lockdown"],
    ),
]
Names = Annotated[tuple[str, ...], BeforeValidator(_one_or_more, json_schema_input_type=str | tuple[str, ...])]
FirmIds = Annotated[
    tuple[Annotated[str, BeforeValidator(_id_text)], ...],
    BeforeValidator(_one_or_more, json_schema_input_type=str | int | tuple[str | int, ...]),
]
EventId = Annotated[str, BeforeValidator(_id_text, json_schema_input_type=str | int)]
Dim = Literal["region", "sector", "firm"]
Drawn = Annotated[
    Distribution, PlainValidator(parse_distribution), PlainSerializer(lambda drawn: drawn.as_dict(), dict[str, Any])
]
Levels = Annotated[tuple[Scalar, ...], PlainValidator(same_kind), PlainSerializer(list, list[Any])]
