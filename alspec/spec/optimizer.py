"""`training.optimizer`: another optimizer than the paper's SGD, or a config file's own."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from alspec.spec.fields import Frozen, NotNegative, Positive

OF_CONFIG = "config"
"""The optimizer and the schedule of the MMSegmentation config that the study names."""

Share = Annotated[float, Field(ge=0, lt=1)]


class Optimizer(Frozen):
    """An optimizer of torch by its name, or `config`; what is not given is torch's or the file's.

    Of `training`, what is written there (`lr`, `weight_decay`, ...) counts here too.
    """

    type: Literal[
        "config", "SGD", "Adam", "AdamW", "NAdam", "RAdam", "Adamax", "Adagrad", "RMSprop"
    ] = Field(description="an optimizer of torch, or `config`: the config file's own")
    lr: Positive | None = Field(default=None, description="learning rate of the backbone")
    weight_decay: NotNegative | None = Field(default=None, description="as torch defines it")
    momentum: Annotated[float, Field(ge=0, lt=1)] | None = Field(
        default=None, description="of SGD and RMSprop"
    )
    betas: tuple[Share, Share] | None = Field(default=None, description="of Adam and its kin")
    eps: Positive | None = Field(default=None, description="added to the denominator")
    nesterov: bool | None = Field(default=None, description="of SGD")
    amsgrad: bool | None = Field(default=None, description="of Adam and AdamW")
    head_lr_factor: Positive | None = Field(
        default=None, description="of the learning rate, for decode and auxiliary heads"
    )
    paramwise_cfg: dict[str, object] | None = Field(
        default=None,
        description="MMEngine's, as {custom_keys: {head: {lr_mult: 10}}, norm_decay_mult: 0}",
    )
    clip_grad: Positive | None = Field(default=None, description="largest norm of the gradients")
    warmup: Share | None = Field(
        default=None, description="share of a training in which the rate rises in a line from 0"
    )
    power: NotNegative | None = Field(default=None, description="of the poly schedule")

    @property
    def arguments(self) -> dict[str, object]:
        """What is given of torch's own arguments."""
        names = ("lr", "weight_decay", "momentum", "betas", "eps", "nesterov", "amsgrad")
        given = {name: getattr(self, name) for name in names}
        return {name: value for name, value in given.items() if value is not None}
