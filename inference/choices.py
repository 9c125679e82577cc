"""The names by which a calibration is chosen."""

from typing import Literal, get_args

type GuideName = Literal["mean_field", "low_rank", "structured", "flow"]
type Residual = Literal["absolute", "relative", "log"]
type Penalty = Literal["squared", "robust"]

GUIDES: tuple[GuideName, ...] = get_args(GuideName.__value__)
