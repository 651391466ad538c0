"""REPORT.md: a results section whose every number is read from the records."""

from __future__ import annotations

import math

from regrow.config import ModelConfig, Params, Recipe, digest
from regrow.report.claims import claims_words
from regrow.report.conventions import conventions_parts
from regrow.report.estimate import Estimate, estimate, number
from regrow.report.figures import ACCURACY, SAVED, TRANSFER, alt_text, image
from regrow.report.frames import Records, over_seeds
from regrow.report.learngene.prose import learngene_parts
from regrow.report.missing import missing_parts
from regrow.report.negatives import ACCOUNT_WORDS, negatives
from regrow.report.plan import WORDS
from regrow.report.saving import ACCOUNTS, savings
from regrow.report.table import Table, imagenet, setting
from regrow.report.transfer import MEAN, transfer_accuracies, transfer_rows
from regrow.study import NO_PRETRAINING
from regrow.study.part import IN_PART


def report_text(records: Records, tables: dict[str, Table]) -> str:
    """The whole file. The same results give the same bytes: machines and seconds are in tables/seconds.md."""
    tier = f"{records.whole.params.tier} tier{IN_PART}" if records.whole else f"{records.params.tier} tier"
    parts = [
        f"# Results: the {tier}",
        setting(records.params),
        *(missing_parts(records, records.whole) if records.whole else []),
        "## What was run",
        *_what(records),
        "## How to read the numbers",
        _rule(records.params),
        "## Growth",
        _growth(records),
        tables["growth"].markdown(),
        image(ACCURACY, alt_text(records)),
        image(SAVED, "FLOPs saved by every arm in three accounts, one small dot a seed"),
        tables["improvement"].markdown(),
        "## How far conventions move the numbers",
        *conventions_parts(records, tables["conventions"]),
    ]
    if "transfer" in tables:
        parts += ["## Transfer", _transfer(records), tables["transfer"].markdown()]
        parts.append(image(TRANSFER, "Test accuracy of every arm on every transfer set, one small dot a seed"))
    bad = negatives(records, tables["operators"].data)
    parts += ["## Learned operators", tables["operators"].markdown()]
    if records.params.learngene:
        parts += ["## Learngenes", *learngene_parts(records, records.params.learngene, tables)]
    parts += ["## Claims", claims_words(tables["claims"]), tables["claims"].markdown()]
    parts += ["## What did not work", "\n".join(f"- {line}" for line in bad) or "Nothing to name."]
    parts += ["## Plan and fact", WORDS, tables["plan"].markdown()]
    parts += ["## Limits", _limits(records.params), "## Provenance", _provenance(records)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _what(records: Records) -> list[str]:
    params, data = records.params, records.params.source_data
    sources = [f"- source `{name}`: {_model(model)}" for name, model in params.sources.items()]
    parameters = records.of("target")["parameters"].iloc[0] / 1e6
    held_out = f"{data.minival:.0%}" if isinstance(data.minival, float) else f"{data.minival}"
    targets = "the targets alike" if params.train == params.pretrain else f"the targets for {_recipe(params.train)}"
    learngenes = ", those of the learngenes included" if params.learngene else ""
    return [
        f"{params.description}. {len(records.runs)} runs{learngenes}: {len(params.arms)} arms with seeds "
        f"{', '.join(map(str, params.seeds))}; a seed has its own sources, operator fits, targets and transfers.",
        "\n".join([*sources, f"- target: {_model(params.target)}; {parameters:.2f} M parameters"]),
        f"The sources are trained on {data.name} at {params.img_size} px for {_recipe(params.pretrain)}; "
        f"{targets}. Every choice is made on a minival split, {held_out} of the training images; the test split "
        "is read once, at the end of a run.",
    ]


def _model(model: ModelConfig) -> str:
    size = f"width {model.embed_dim}, depth {model.depth}, {model.num_heads} heads"
    return f"{size}, patches of {model.patch_size} px"


def _recipe(recipe: Recipe) -> str:
    duration = recipe.duration.replace("_", " ")
    return f"{duration} in batches of {recipe.batch_size}, peak learning rate {recipe.lr:g}"


def _rule(params: Params) -> str:
    scratch = params.arms[params.scratch].label
    return (
        f"The rule was fixed before the runs. Within a seed, the target is {scratch}'s minival accuracy at the "
        f"end of its training, smoothed by a trailing running median over {params.rule.smooth} evaluations. A "
        "run costs what it has spent when its own smoothed accuracy first reaches the target, linear between "
        f"two evaluations, step 0 included. The saving is 1 − (the arm's cost) / ({scratch}'s cost), "
        f"so {scratch} saves 0 by construction; the speed-up is 1 / (1 − mean saving). “FLOPs "
        "saved” counts the target's training alone; “with operator” adds the operator's fit, with the learning "
        "rates that were tried and not kept; “with source” adds the source's whole pretraining to that, though "
        "one source may serve many targets. A run that never reaches the target has an infinite cost: one such "
        "seed makes its arm a miss, which the CSV files hold as a mean of -inf. Means are over seeds and ± is "
        "the sample standard deviation. The CSV files have Student's 95 % intervals, which are those in the text, and "
        "beside them the percentile bootstrap over seeds, which on few seeds is little more than their range."
    )


def _growth(records: Records) -> str:
    saved, scratch = savings(records, records.growth), records.params.scratch
    lines = [f"FLOPs saved until {records.params.arms[scratch].label}'s final accuracy, mean over seeds:\n"]
    for name, arm in records.params.arms.items():
        if name == scratch:
            continue
        if not over_seeds(saved, name, "reached").all():
            lines.append(f"- {arm.label}: a miss, see “What did not work”")
            continue
        found = {account: estimate(over_seeds(saved, name, account)) for account in ACCOUNTS}
        words = [f"{_percent(value)} {ACCOUNT_WORDS[account]}" for account, value in found.items()]
        lines.append(f"- {arm.label}: {'; '.join(words)}")
    return "\n".join(lines)


def _percent(value: Estimate) -> str:
    known = not math.isnan(value.low)
    interval = f" (95 % interval {number(value.low)} to {number(value.high)})" if known else ""
    return f"{number(value.mean)} %{interval}"


def _transfer(records: Records) -> str:
    accuracies, labels = transfer_accuracies(records), transfer_rows(records)
    means = {arm: float(over_seeds(accuracies, arm, MEAN).mean()) for arm in labels}
    best, n = max(means, key=means.__getitem__), len(records.params.transfer_data)
    others = [
        f"{labels[arm]} has {number(means[arm])} %" for arm in (records.params.scratch, NO_PRETRAINING) if arm != best
    ]
    return (
        f"Averaged over {n} {'sets' if n > 1 else 'set'}, {labels[best]} is highest with {number(means[best])} %; "
        f"{'; '.join(others)}. Differences within the standard deviations show nothing."
    )


def _limits(params: Params) -> str:
    n = len(params.seeds)
    seeds = f"{n} seeds give wide intervals" if n > 1 else "One seed gives no interval"
    small = (
        "The models, the images and the training are small, so these numbers say that the methods run and which "
        "way they point, not what the papers' setting would give. "
    )
    return (
        f"{setting(params)} {'' if imagenet(params) else small}"
        f"{seeds}. A run has {params.train.evaluations} evaluations, and a crossing is known no better than "
        "their spacing. FLOPs are those of training steps; evaluation is not counted."
    )


def _provenance(records: Records) -> str:
    return (
        "This file, the figures and every table but `seconds` are the same bytes for the same results. The "
        f"sha256 of the weights of all {len(records.runs)} runs are in [tables/runs.csv](tables/runs.csv); the "
        f"params resolve to sha256 `{digest(records.params)}`. Commit, package digest, versions, device and "
        "threads of every run, and the seconds it took, are in [tables/seconds.md](tables/seconds.md) and "
        "[tables/seconds.csv](tables/seconds.csv). Made by `regrow report` from `records/` and, for the claims, their "
        "ledger; do not edit."
    )
