# Targets and includes; docs/workflow.md says more.
#
#   snakemake --cores 2                                    the default tier, params/mini.yaml
#   snakemake --cores 2 --config params=params/gpu.yaml    another tier
#   snakemake --cores 2 --config only='target/*_s0'        some runs and what they need; then `tables`
#   snakemake tables --cores 1                             tables and figures again from the records that are there

from snakemake.utils import min_version

min_version("9.27")


include: "workflow/rules/study.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/shown.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/layers.smk"
include: "workflow/rules/arithmetic.smk"
include: "workflow/rules/pictures.smk"


ALL_SHOWN = [rules.report.output, ALL_LAYERS, rules.arithmetic.output, rules.pictures.output]


rule all:
    default_target: True
    input:
        ALL_SHOWN if ONLY is RUNS else [],
        ALL_DATA,
        ALL_RUNS,


rule runs:
    input:
        ALL_DATA,
        ALL_RUNS,


rule data:
    input:
        ALL_DATA,


# Jobs on this machine are forked from one process that has torch imported; elsewhere they start by themselves. A limit on
# the jobs of a second is for clusters: with it Snakemake 9.27 starts a timer a job that wakes it every second for ever.
onstart:
    if workflow.local_exec:
        warm.start()
        workflow.scheduler.job_rate_limiter = None


onsuccess:
    if ONLY is RUNS:
        print(f"\nTables: {RESULTS}/tables  figures: {RESULTS}/figures  read first: {RESULTS}/REPORT.md")
    else:
        print(f"\nThe report of what is done so far: snakemake tables --cores 1 --config params={PARAMS}")
