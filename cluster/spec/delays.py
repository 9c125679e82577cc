"""The delays of a spec: whose goods are on the way, and for how long."""

from shockmesh.cluster.spec.domains import DOMAINS, Domain
from shockmesh.cluster.spec.fields import DelayDays, Frozen, Name, Stages, Value, key
from shockmesh.cluster.spec.shocks import Where

PLACES = ("from", "to")
LONGEST = 1000  # days of a fixed delay, of each of which what was sent is kept


class Delay(Frozen):
    """Goods that firms at `from` sell to firms at `to` are on the way for some days; and, where `to` names regions
    alone, goods for final use in them. See shockmesh.kernels.mechanisms.delays."""

    name: Name
    origin: Where = key(Where(), "who sells; left out: all", {"region": "CHN"}, alias="from")
    destination: Where = key(Where(), "who buys; left out: all", {"region": ["DEU", "FRA"]}, alias="to")
    days: Value[DelayDays] = key(
        ...,
        "how long: whole days, after which all arrives (fixed); with stages the mean, of the firm that buys, or for "
        "final use of the firm that sells [days]",
        30,
    )
    stages: Stages | None = key(
        None, "k of an Erlang delay: the more, the less its days differ, from 1 on; left out: the delay is fixed", 3
    )

    @property
    def path(self) -> str:
        return f"model.delays.{self.name}"

    @property
    def domain(self) -> Domain:
        """What `days` admits: a stage takes a day at least."""
        most = DOMAINS["delay_days"].high if self.stages else LONGEST
        return Domain(float(self.stages or 1), most, written="days")

    def place(self, name: str) -> Where:
        """The firms of one of its PLACES."""
        return self.origin if name == "from" else self.destination
