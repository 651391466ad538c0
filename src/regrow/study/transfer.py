"""The runs on other data sets than the one that a target was trained on."""

from __future__ import annotations

from regrow.config import DataConfig, ModelConfig, Params, Recipe, TrainConfig
from regrow.data.registry import SETS
from regrow.study.data import data_ref
from regrow.study.run import Run


def transfer_run(
    params: Params, name: str, data_name: str, data: DataConfig, seed: int, model: ModelConfig, *, init: str | None
) -> Run:
    """Fine-tuning on another set from the weights of the run `init`, its head new; from nothing where there is none."""
    config = TrainConfig(
        stage="transfer",
        run=f"{name}_{data_name}_s{seed}",
        seed=seed,
        data=data_ref(params, data),
        model=model,
        recipe=_transfer_recipe(params, data),
        init=init,
        new_head=init is not None,
    )
    return Run(config=config, arm=name)


def _transfer_recipe(params: Params, data: DataConfig) -> Recipe:
    """The tier's recipe, for as long as the set asks, and what the two sets decide.

    Images are inverted at random where the set's polarity is the opposite of the source's; a set whose labels a
    flip would change is never flipped.
    """
    source, target = SETS[params.source_data.name].polarity, SETS[data.name].polarity
    opposite = "colour" not in (source, target) and source != target
    augment = params.transfer.augment
    decided = {"invert": augment.invert or opposite, "flip": augment.flip and SETS[data.name].flip}
    return params.transfer_recipe(data).model_copy(update={"augment": augment.model_copy(update=decided)})
