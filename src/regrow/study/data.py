"""The data sets of a tier, and a model at the size of one."""

from __future__ import annotations

from regrow.config import DataConfig, DataRef, ModelConfig, Params
from regrow.data.registry import SETS
from regrow.errors import UserError


def data_refs(params: Params) -> dict[str, DataRef]:
    """Every packed data set of the tier, by folder name."""
    refs = [data_ref(params, params.source_data), *(data_ref(params, data) for data in params.transfer_data.values())]
    return {ref.folder: ref for ref in refs}


def data_ref(params: Params, data: DataConfig) -> DataRef:
    """The packed set that a data set is at the tier's image size and split.

    Raises:
        UserError: no set of that name is registered.
    """
    if data.name not in SETS:
        raise UserError(f"data set {data.name!r} is not registered; there are: {', '.join(sorted(SETS))}")
    return DataRef(
        name=data.name,
        img_size=params.img_size,
        minival=data.minival,
        seed=params.data_seed,
        per_class=data.per_class,
        thin=data.thin,
    )


def sized(params: Params, model: ModelConfig, data: DataConfig) -> ModelConfig:
    """The model at the data set's image size and number of classes."""
    update = {"img_size": params.img_size, "num_classes": SETS[data.name].num_classes}
    return ModelConfig.model_validate({**model.model_dump(), **update})
