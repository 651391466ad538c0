# The study: the params file, its list of runs, where things lie, and the functions that the rules ask.

import os
import sys
from pathlib import Path

from snakemake.shell import shell

# A checkout runs its own code, in the copies that `dvc exp run --temp` and DVC's queue work in too.
if Path("src/regrow").is_dir():
    sys.path.insert(0, str(Path("src").resolve()))
    os.environ.update(PYTHONPATH=os.pathsep.join([sys.path[0], os.environ.get("PYTHONPATH", "")]))

from regrow import warm
from regrow.code import sources
from regrow.config import STAGES, canonical, digest, load_params
from regrow.data.registry import SETS
from regrow.lock import share
from regrow.plan.storage import memory_mb
from regrow.stages import modules
from regrow.study import data_refs, runs, with_parents
from regrow.train import SAVE_EVERY

# `regrow` of the environment that Snakemake runs in, whether it is activated or not. Strict mode is Snakemake's own
# prefix, which this one replaces: without it a job's exit code would be that of `tee`.
shell.prefix(f'set -euo pipefail; PATH="{Path(sys.executable).parent}:$PATH"; ')

# Until this process ends, however it ends: `regrow unlock` asks for the lock alone.
Path(".snakemake").mkdir(exist_ok=True)
FOLDER = share(Path.cwd())

PARAMS = config.get("params", "params/mini.yaml")
CLAIMS = config.get("claims", "params/claims.yaml")
STUDY = load_params(Path(PARAMS))
RUNS = runs(STUDY)
ONLY = with_parents(RUNS, str(config["only"]).split()) if "only" in config else RUNS
RANK = {key: len(RUNS) - place for place, key in enumerate(RUNS)}
DATA = data_refs(STUDY)
RESULTS = f"results/{STUDY.tier}"
ARRAYS = ["images.npy", "labels.npy", "split.npy", "manifest.json"]
RECORDS = ["summary.json", "metrics.jsonl", "provenance.json"]


pathvars:
    results=RESULTS,
    logs=f"{RESULTS}/logs",
    data="results/data",


wildcard_constraints:
    stage="|".join(STAGES),
    run=r"[a-z0-9._-]+",
    set=r"[a-z0-9._-]+",


ALL_DATA = expand(
    "<data>/{set}/{file}", set=dict.fromkeys(run.config.data.folder for run in ONLY.values()), file=ARRAYS
)
ALL_RUNS = [
    *expand("<results>/weights/{key}.safetensors", key=ONLY),
    *expand("<results>/records/{key}/{file}", key=ONLY, file=RECORDS),
]


def pack_code(wildcards):
    """The modules that pack the set; of the builders only its own."""
    return sources("regrow.data.packing", SETS[DATA[wildcards.set].name].build.__module__)


def pack_arguments(wildcards):
    ref = DATA[wildcards.set]
    return f"{ref.name} --img-size {ref.img_size} --minival {ref.minival} --seed {ref.seed}"


def run_priority(wildcards):
    """Runs are taken in the order of the list, as `regrow plan --minutes` has them, and sets are packed before any."""
    return RANK[f"{wildcards.stage}/{wildcards.run}"]


def run_config(wildcards):
    return RUNS[f"{wildcards.stage}/{wildcards.run}"].config


def resolved_config(wildcards):
    """The run's config as JSON: a change of it, and of nothing else in the params file, reruns the run."""
    return canonical(run_config(wildcards))


def run_manifest(wildcards):
    """The manifest stands for its set: it has the sha256 of every array, and a run checks them when it reads them.

    Snakemake would hash the arrays before and after every job.
    """
    return f"<data>/{run_config(wildcards).data.folder}/manifest.json"


def parent_weights(wildcards):
    """The weights that the run starts from; none when it starts from scratch."""
    parent = run_config(wildcards).init
    return f"<results>/weights/{parent}.safetensors" if parent else []


def run_code(wildcards):
    return sources(*modules(run_config(wildcards)))


def data_folder(wildcards, input):
    return Path(input.manifest).parent


def init_option(wildcards, input):
    return f"--init {input.init}" if input.init else ""


def work_folder(wildcards):
    """Checkpoints are not outputs: Snakemake deletes the outputs of a failed job."""
    return f"{RESULTS}/work/{wildcards.stage}/{wildcards.run}"


def run_minutes(wildcards):
    """What a cluster may give the run before it stops it; a stopped run goes on from its checkpoint."""
    return {"grow": 120, "transfer": 240}.get(wildcards.stage, 720)


def run_memory(wildcards):
    """By the set; `processes` is the rule's, or what a profile or the command line says instead."""
    processes = rules.train.rule.resources["processes"].value
    return memory_mb(run_config(wildcards).data, int(processes))
