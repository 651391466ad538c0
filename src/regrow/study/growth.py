"""The study's growth: Mango's, and the operators beside it."""

from __future__ import annotations

from regrow.config import Params
from regrow.study.family import Family, Source, family_runs, grown, pretrain_run
from regrow.study.run import NO_PRETRAINING, Run
from regrow.study.transfer import transfer_run


def growth_runs(params: Params, seed: int) -> list[Run]:
    """The study's growth: its sources, arms, and the transfer of what they end with."""
    found: list[Run] = []
    sources: dict[str, Source] = {}
    for name in sorted({arm.source for arm in params.arms.values() if arm.source}):
        run, sources[name] = pretrain_run(params, name, params.sources[name], params.pretrain, seed)
        found.append(run)
    family = Family(target=params.target, arms=params.arms, suffix="", train=params.train, fit=params.fit)
    found += family_runs(params, family, sources, seed)
    for data_name, data in params.transfer_data.items():
        fresh = family.model(params, data)
        found.append(transfer_run(params, NO_PRETRAINING, data_name, data, seed, fresh, init=None))
        for name in family.arms:
            trained = grown(family, name, sources, fresh)
            found.append(transfer_run(params, name, data_name, data, seed, trained, init=f"target/{name}_s{seed}"))
    return found
