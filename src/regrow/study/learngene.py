"""TLEG's study: one learngene, and its descendants at every depth beside other initialisations."""

from __future__ import annotations

from regrow.config import Learngene, LearngeneConfig, Params, TeacherConfig, TimmModel, basis_config
from regrow.data.registry import SETS
from regrow.study.data import data_ref, sized
from regrow.study.family import Family, Source, family_runs, grown, pretrain_run
from regrow.study.run import Run, descendant
from regrow.study.transfer import transfer_run


def descendant_runs(params: Params, learngene: Learngene, seed: int) -> list[Run]:
    """TLEG's study: auxiliaries, models to inherit from, and at every depth the arms and their transfer.

    What is transferred is an arm's initial weights: a learngene is expanded and fine-tuned, as a pretrained model is.
    """
    found: dict[str, Run] = {}
    learned: dict[str, Source] = {}
    for name in learngene.auxiliaries:
        run, learned[name] = _auxiliary(params, learngene, name, seed)
        found[run.key] = run
    for depth in learngene.depths:
        suffix = descendant("", depth)
        target = learngene.model.model_copy(update={"depth": depth})
        sources = dict(learned)
        for name, source in learngene.sources.items():
            model = learngene.model.model_copy(update={"depth": source.depth or depth})
            pretrained = name if source.depth else name + suffix
            run, sources[name] = pretrain_run(params, pretrained, model, learngene.pretrain, seed)
            found[run.key] = run
        family = Family(
            target=target,
            arms=learngene.arms,
            suffix=suffix,
            train=learngene.train,
            fit=learngene.fit or params.fit,
        )
        found |= {run.key: run for run in family_runs(params, family, sources, seed)}
        if depth in learngene.transfer_depths:
            for data_name, data in params.transfer_data.items():
                for name, arm in family.arms.items():
                    if arm.operator is None and name != learngene.scratch:
                        continue  # it starts as scratch does
                    model = grown(family, name, sources, family.model(params, data))
                    init = f"grow/{name}{suffix}_s{seed}" if arm.operator else None
                    run = transfer_run(params, name + suffix, data_name, data, seed, model, init=init)
                    found[run.key] = run
    return list(found.values())


def teacher_run(params: Params, learngene: Learngene) -> Run:
    """One teacher for all seeds, of the first."""
    seed = params.seeds[0]
    model = _taught_by(params, learngene)
    name = learngene.teacher.model.name.split(".")[0].replace("_", "-")
    config = TeacherConfig(
        run=f"{name}_s{seed}",
        seed=seed,
        data=data_ref(params, params.source_data),
        model=model,
        recipe=learngene.teacher.recipe,
    )
    return Run(config=config, arm=name)


def _taught_by(params: Params, learngene: Learngene) -> TimmModel:
    return learngene.teacher.model.model_copy(update={"num_classes": SETS[params.source_data.name].num_classes})


def _auxiliary(params: Params, learngene: Learngene, name: str, seed: int) -> tuple[Run, Source]:
    auxiliary = learngene.auxiliaries[name]
    config = LearngeneConfig(
        run=f"{name}_s{seed}",
        seed=seed,
        data=data_ref(params, params.source_data),
        kind=auxiliary.kind,
        model=sized(params, auxiliary.model or learngene.model, params.source_data),
        recipe=auxiliary.recipe,
        distill=learngene.distill,
        teacher=_taught_by(params, learngene),
        init=teacher_run(params, learngene).key,
    )
    run = Run(config=config, arm=name)
    return run, Source(key=run.key, model=basis_config(config.model, config.kind))
