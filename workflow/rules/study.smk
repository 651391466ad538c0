"""The study: the params file, the list of runs, and the resolved config of each run."""

import os
import sys
from pathlib import Path

from regrow.code import sources
from regrow.config import canonical, load_params
from regrow.data.registry import SETS
from regrow.growth.registry import entry
from regrow.study import data_refs, runs

os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

PARAMS = config.get("params", "params/mini.yaml")
STUDY = load_params(Path(PARAMS))
RUNS = runs(STUDY)
DATA = data_refs(STUDY)
RESULTS = f"results/{STUDY.tier}"
ARRAYS = ["images.npy", "labels.npy", "split.npy", "manifest.json"]
RECORDS = ["summary.json", "metrics.jsonl", "provenance.json"]


pathvars:
    results=RESULTS,
    logs=f"{RESULTS}/logs",
    data="results/data",


wildcard_constraints:
    stage="pretrain|grow|target|transfer",
    run=r"[a-z0-9._-]+",
    set=r"[a-z0-9._-]+",


ALL_DATA = expand("<data>/{set}/{file}", set=DATA, file=ARRAYS)
ALL_RUNS = [
    *expand("<results>/weights/{key}.safetensors", key=RUNS),
    *expand("<results>/records/{key}/{file}", key=RUNS, file=RECORDS),
]


def resolved_config(wildcards):
    """The run's config as JSON: a change of it, and of nothing else in the params file, reruns the run."""
    return canonical(RUNS[f"{wildcards.stage}/{wildcards.run}"].config)


localrules:
    config,


rule config:
    output:
        "<results>/configs/{stage}/{run}.json",
    params:
        text=resolved_config,
    shell:
        "printf '%s\\n' {params.text:q} > {output}"
