# Targets and includes; docs/workflow.md says more.
#
#   snakemake --cores 2                                    the default tier, params/mini.yaml
#   snakemake --cores 2 --config params=params/gpu.yaml    another tier
#   snakemake tables --cores 1                             tables and figures again from the committed records

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


rule all:
    default_target: True
    input:
        rules.report.output,
        ALL_LAYERS,
        rules.arithmetic.output,
        rules.pictures.output,
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
    print(f"\nTables: {RESULTS}/tables  figures: {RESULTS}/figures  read first: {RESULTS}/REPORT.md")
