"""The delays and routes of a spec: whose goods are on the way, for how long, and where they have to pass."""

from typing import ClassVar

from shockmesh.cluster.spec.domains import DOMAINS, Domain
from shockmesh.cluster.spec.fields import (
    Capacity,
    DelayDays,
    DetourCost,
    DetourDays,
    FilePath,
    Frozen,
    Name,
    Stages,
    Value,
    key,
)
from shockmesh.cluster.spec.shocks import Where

PLACES = ("from", "to")
LONGEST = 1000  # days of a fixed delay, of each of which what was sent is kept
DIFFERENT = 60  # numbers of days in a file of pairs: the goods of each are a delay of their own


class Passage(Frozen):
    """Goods that firms at `from` sell to firms at `to`; where `to` names regions alone, to consumers there, too."""

    name: Name
    origin: Where = key(Where(), "who sells; left out: all", {"region": "CHN"}, alias="from")
    destination: Where = key(Where(), "who buys; left out: all", {"region": ["DEU", "FRA"]}, alias="to")

    def place(self, name: str) -> Where:
        """The firms of one of its PLACES."""
        return self.origin if name == "from" else self.destination


class Delay(Passage):
    """Goods that are on the way for some days: see shockmesh.kernels.mechanisms.delays."""

    days: Value[DelayDays] | None = key(
        None,
        "how long: whole days, after which all arrives (fixed); with stages the mean, of the firm that buys, or for "
        "final use of the firm that sells [days]",
        30,
    )
    stages: Stages | None = key(
        None, "k of an Erlang delay: the more, the less its days differ, from 1 on; left out: the delay is fixed", 3
    )

    pairs: FilePath | None = key(
        None,
        "in place of days, a CSV with a row for each pair: days (whole, 0: none), and supplier, buyer; or some of "
        "supplier_region, supplier_sector, buyer_region, buyer_sector",
        "distances.csv",
    )

    @property
    def path(self) -> str:
        return f"model.delays.{self.name}"

    @property
    def domain(self) -> Domain:
        """What `days` admits: a stage takes a day at least."""
        most = DOMAINS["delay_days"].high if self.stages else LONGEST
        return Domain(float(self.stages or 1), most, written="days")


class Route(Passage):
    """Goods that go by a route with a capacity, such as a strait, a port or a pipeline: what does not get through
    waits, or makes a detour. `kind: closure` closes it. See shockmesh.kernels.mechanisms.queues."""

    NUMBERS: ClassVar[tuple[str, ...]] = ("capacity", "detour_days", "detour_cost")
    capacity: Capacity = key(..., "most that passes in a day, of what does on an undisturbed one [multiple]", 1.2)
    first: Where | None = key(
        None, "who buys what passes before all else; left out: all goods pass alike", {"sector": "D35"}
    )
    detour_days: DetourDays | None = key(
        None, "how much later goods arrive that go another way, on average; left out: they wait [days]", 14
    )
    detour_cost: DetourCost | None = key(
        None,
        "by which those goods are dearer for the firm that buys, read where prices move (model.prices) [share of the "
        "price]",
        0.1,
    )

    @property
    def path(self) -> str:
        return f"model.routes.{self.name}"

    @property
    def numbers(self) -> tuple[str, ...]:
        """Those that the spec gives."""
        return tuple(name for name in self.NUMBERS if getattr(self, name) is not None)
