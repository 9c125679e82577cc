"""What was seen of an economy, what is unknown of it, and how it is learned."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Discriminator, Tag
from shockmesh.cluster.spec.fields import (
    Correlation,
    Count,
    Doubt,
    FilePath,
    Frozen,
    NoiseShare,
    Rate,
    Spread,
    Temperature,
    Window,
    key,
    known,
)
from shockmesh.inference.choices import GuideName, Penalty, Residual
from shockmesh.kernels.rollout import RECORDABLE


class Spreads(Frozen):
    """A standard deviation for each period and series, in a file like that of the series."""

    file: FilePath = key(..., "CSV of standard deviations, laid out as the series", "noise.csv")


def _noise_tag(value: object) -> str:
    return "file" if isinstance(value, dict | Spreads) else "number"


Noise = Annotated[Annotated[NoiseShare, Tag("number")] | Annotated[Spreads, Tag("file")], Discriminator(_noise_tag)]


class Observe(Frozen):
    """Series that were seen, as ratios to the undisturbed day."""

    file: FilePath = key(
        ..., "CSV of a row per day or period and a column per series, as ratios to the undisturbed day", "series.csv"
    )
    variable: Annotated[str, AfterValidator(lambda name: known("variable", RECORDABLE, name))] = key(
        "output", "what was seen", "value_added"
    )
    by: Literal["total", "region", "sector"] = key("sector", "what the columns are", "region")
    groups: FilePath | None = key(
        None,
        "CSV of sector,series or region,series that gathers several in one series; left out: series are named as "
        "sectors or regions",
        "groups.csv",
    )
    noise: Noise = key(
        0.01, "standard deviation of what was seen; or {file: …} of them [share of the undisturbed day]", 0.02
    )
    window: Window | None = key(
        None, "first day that is fitted and the day after the last; left out: all but held_out [days]", [0, 30]
    )
    held_out: Window | None = key(None, "days kept aside for validation, as window [days]", [30, 60])


Level = Literal["all", "region", "series", "sector", "firm"]  # series: firms that the first observed variable sums


class Unknown(Frozen):
    """What is not known of a number: how far groups of firms stray from the value that the spec says."""

    spread: dict[Level, Spread] = key(
        {},
        "level → standard deviation of the logarithm, or of the logit of a share, of what firms of that level have "
        "in common [–]",
        {"all": 0.5, "firm": 0.3},
    )
    like: str | None = key(
        None,
        "in place of a spread: the path of a number; both stray together, each from its own value",
        "model.inventory_days",
    )
    doubt: Doubt = key(0.0, "the spreads themselves are uncertain by a factor exp(± doubt) [–]", 0.3)


class Infer(Frozen):
    """How the unknown is learned."""

    parameters: dict[str, Unknown] = key(
        ...,
        "path → what is not known of it; the spec's value is the middle of the prior",
        {"model.inventory_days": {"spread": {"all": 0.5}}},
    )
    method: Literal["svi", "rml"] = key(
        "svi", "a guide fitted by gradients (svi), or an ensemble pulled to perturbed data (rml)", "rml"
    )
    guide: GuideName = key("structured", "the family of distributions that svi fits", "mean_field")
    rank: Count = key(4, "of the guides low_rank and structured", 8)
    particles: Count = key(1, "simulations a step, over which svi averages gradients", 4)
    steps: Count = key(300, "of the fit", 100)
    rate: Rate = key(0.1, "learning rate of svi's optimiser [–]", 0.05)
    draws: Count = key(200, "of the posterior; members of the ensemble", 100)
    residual: Residual = key("absolute", "how predicted and seen are compared", "log")
    penalty: Penalty = key("squared", "how residuals count: squared, or less where they are large", "robust")
    correlation: Correlation = key(
        0.0, "of the noise between neighbouring periods, which makes many periods count as fewer [–]", 0.5
    )
    temperature: Temperature | None = key(
        None, "the weight of the data, said by hand; left out: correlation gives it [–]", 0.5
    )
    checkpoint_every: Count = key(25, "after which a fit may be resumed [steps]", 10)
    patience: Count | None = key(
        None, "checkpoints without a better held-out loss before stopping; left out: all steps are made", 4
    )
