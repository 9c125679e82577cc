"""What a spec says of a decision: a budget, and what it may buy. Read by `shockmesh allocate`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field
from shockmesh.cluster.spec.fields import Cost, Count, Frozen, Share, Worth, key
from shockmesh.cluster.spec.shocks import Where

if TYPE_CHECKING:
    from shockmesh.cluster.spec.models import Spec
    from shockmesh.cluster.spec.rules import Broken

LEVERS = {  # what money may buy → what a unit of it is priced in, a day of it
    "model.inventory_days": "inputs",
    "model.capacity": "output",
    "model.base_capacity": "output",
    "model.suppliers.pull": "inputs",
}


class Allocate(Frozen):
    """A budget to be spent for the least loss over the members of the sweep: see shockmesh.inference.decisions."""

    budget: Worth = key(..., "money that is spent, all of it [the network's unit without «/ day»]", 50000)
    levers: Annotated[dict[str, Cost], Field(min_length=1)] = key(
        ...,
        "what it may buy → what a unit costs, of stock (model.inventory_days) and second suppliers "
        "(model.suppliers.pull) in days of what the firm buys, of spare capacity (model.capacity, model.base_capacity) "
        "in days of what it makes [days]",
        {"model.inventory_days": 1, "model.capacity": 400},
    )
    where: Where = key(Where(), "the firms that may get some; left out: all", {"region": "JPN"})
    loss: Literal["output", "value_added", "final_consumption"] = key(
        "output", "what is lost, over all firms and days", "final_consumption"
    )
    tail: Share | None = key(
        None, "count the mean of the worst members alone, that share of them (CVaR); left out: of all [share]", 0.1
    )
    held_out: Count = key(..., "so many of the last members are only to judge by", 16)
    steps: Count = key(60, "of gradients, from each start", 100)


def allocate_rules(spec: "Spec") -> Iterator["Broken"]:
    """What money buys is read by the model, and enough members are left to decide by."""
    told = spec.allocate
    if told is None:
        return
    read = [path for path in LEVERS if path.rpartition(".")[2] in spec.model.numbers]
    for path in told.levers:
        if path not in read:
            yield ("allocate", "levers", path), path, f"must be a number that the model reads: {', '.join(read)}"
    if spec.infer is not None:
        yield ("allocate",), "allocate and infer", "a spec has one of them"
    if told.where.share is not None:
        yield ("allocate", "where", "share"), told.where.share, "name the firms: leave it out"
