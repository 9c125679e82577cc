"""The types of a spec's fields: what a number, a name, a file or a size may be."""

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    PlainSerializer,
    PlainValidator,
    Strict,
    Tag,
)
from shockmesh.cluster.spec.distributions import Distribution, Scalar, parse_distribution, same_kind
from shockmesh.cluster.spec.domains import DATE, DOMAINS, Domain
from shockmesh.cluster.spec.problems import suggestion
from shockmesh.io.inputs.calendar import date_in

SURVEYED = "surveyed"  # what a spec says for the criticality that ships (`io/inputs/survey`), in place of a file
SURVEYS = (SURVEYED, "surveyed_goods")  # of all inputs, and of those alone that can be kept in stock
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
        raise ValueError(f"no such {kind}{suggestion(value, names)}; there are {', '.join(names)}")
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


@dataclass(frozen=True)
class Within:
    """A number of a domain, or the words that may stand for one, as pydantic reads it."""

    domain: Domain

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        checks = AfterValidator(self.domain.check), BeforeValidator(self.domain.read)
        return handler.generate_schema(Annotated[float, Strict(), *checks])


FilePath = Annotated[str, AfterValidator(_in_folder)]
SurveyOrFile = Annotated[str, AfterValidator(lambda name, info: name if name in SURVEYS else _in_folder(name, info))]


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
InventoryDays = Annotated[float, Within(DOMAINS["inventory_days"])]
INFINITE = ("inf", "Inf", "infinity", "Infinity")  # as BoARIO writes it


def _infinite(value: object, info: Any) -> object:
    return math.inf if value in INFINITE else DOMAINS["inventory_days"].read(value, info)


def _stock_days(value: float) -> float:
    return value if value == math.inf else DOMAINS["inventory_days"].check(value)


StockDays = Annotated[  # days of use, or inf, which is written as a text: JSON has no number for it
    float, Strict(), AfterValidator(_stock_days),
    BeforeValidator(_infinite, json_schema_input_type=Annotated[float, Field(ge=1)] | Literal["inf"]),
    PlainSerializer(lambda days: "inf" if days == math.inf else days, float | str),
]  # fmt: skip
AdjustmentDays = Annotated[float, Within(DOMAINS["adjustment_days"])]
Capacity = Annotated[float, Within(DOMAINS["capacity"])]
Elasticity = Annotated[float, Within(DOMAINS["elasticity"])]
InventoryThreshold = Annotated[float, Within(DOMAINS["inventory_threshold"])]
OverproductionDays = Annotated[float, Within(DOMAINS["overproduction_days"])]
HouseholdShare = Annotated[float, Within(DOMAINS["household_share"])]
ConsumptionPersistence = Annotated[float, Within(DOMAINS["consumption_persistence"])]
BenefitShare = Annotated[float, Within(DOMAINS["benefit_share"])]
PassThrough = Annotated[float, Within(DOMAINS["pass_through"])]
Scarcity = Annotated[float, Within(DOMAINS["scarcity"])]
Substitution = Annotated[float, Within(DOMAINS["elasticity_within"])]
Sensitivity = Annotated[float, Within(DOMAINS["sensitivity"])]
Pull = Annotated[float, Within(DOMAINS["pull"])]
SearchDays = Annotated[float, Within(DOMAINS["search_days"])]
Turnover = Annotated[float, Within(DOMAINS["turnover"])]
PriceRise = Annotated[float, Within(DOMAINS["rise"])]
Loss = Annotated[float, Within(DOMAINS["loss"])]
Onset = Annotated[float, Within(DOMAINS["onset"])]
RecoveryStart = Annotated[float, Within(DOMAINS["recovery_start"])]
CapitalDays = Annotated[float, Within(DOMAINS["capital_days"])]
Cost = Annotated[float, Within(DOMAINS["cost"])]
Worth = Annotated[float, Within(DOMAINS["worth"])]
RecoveryDays = Annotated[float, Within(DOMAINS["recovery_days"])]
Duration = Annotated[float, Within(DOMAINS["duration"])]
DaysBetweenFailures = Annotated[float, Within(DOMAINS["days_between_failures"])]
RepairDays = Annotated[float, Within(DOMAINS["repair_days"])]
DelayDays = Annotated[float, Within(DOMAINS["delay_days"])]
Stages = Annotated[int, Strict(), Field(ge=1, le=100)]
DetourCost = Annotated[float, Within(DOMAINS["detour_cost"])]
DetourDays = Annotated[float, Within(DOMAINS["detour_days"])]
Share = Annotated[float, Within(DOMAINS["share"])]
MOST = 10_000_000  # members of a sweep, days, steps: more is a typing error
Count = Annotated[int, Strict(), Field(ge=1, le=MOST)]
Year = Annotated[int, Strict(), Field(ge=1000, le=9999)]
NoiseShare = Annotated[float, Within(DOMAINS["noise"])]
Spread = Annotated[float, Within(DOMAINS["spread"])]
Doubt = Annotated[float, Within(DOMAINS["doubt"])]
Rate = Annotated[float, Within(DOMAINS["rate"])]
Temperature = Annotated[float, Within(DOMAINS["temperature"])]
Correlation = Annotated[float, Within(DOMAINS["correlation"])]
Days = Annotated[int, Strict(), Field(ge=1, le=MOST), BeforeValidator(Domain(1, MOST, written="days").read)]
Day = Annotated[int, Strict(), Field(ge=0, le=MOST), BeforeValidator(DATE.read)]
Start = Annotated[date, BeforeValidator(date_in), PlainSerializer(date.isoformat, str)]
Window = tuple[Day, Annotated[int, Strict(), Field(ge=1, le=MOST), BeforeValidator(DATE.read)]]
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
