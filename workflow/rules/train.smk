"""Pretrain, grow, target, transfer: one rule, because they differ by their config alone."""


def run_config(wildcards):
    return RUNS[f"{wildcards.stage}/{wildcards.run}"].config


def run_data(wildcards):
    return expand("<data>/{set}/{file}", set=run_config(wildcards).data.folder, file=ARRAYS)


def parent_weights(wildcards):
    """The weights that the run starts from; none when it starts from scratch."""
    parent = run_config(wildcards).init
    return f"<results>/weights/{parent}.safetensors" if parent else []


def data_folder(wildcards, input):
    return Path(input.data[0]).parent


def init_option(wildcards, input):
    return f"--init {input.init}" if input.init else ""


def run_code(wildcards):
    """The modules that the run executes; of the operators only its own."""
    if wildcards.stage == "grow":
        return sources("regrow.stages.grow", entry(run_config(wildcards).operator.name).module)
    return sources("regrow.stages.model")


rule train:
    input:
        config="<results>/configs/{stage}/{run}.json",
        data=run_data,
        init=parent_weights,
        code=run_code,
    output:
        weights="<results>/weights/{stage}/{run}.safetensors",
        metrics="<results>/records/{stage}/{run}/metrics.jsonl",
        provenance="<results>/records/{stage}/{run}/provenance.json",
        summary="<results>/records/{stage}/{run}/summary.json",
    log:
        "<logs>/{stage}/{run}.log",
    params:
        data=data_folder,
        init=init_option,
        records=subpath(output.summary, parent=True),
        work=f"{RESULTS}/work/{{stage}}/{{run}}",
    threads: 1
    message:
        "{wildcards.stage} {wildcards.run}"
    shell:
        "regrow {wildcards.stage} {input.config} --data {params.data} {params.init}"
        " --weights {output.weights} --records {params.records} --work {params.work}"
        " --threads {threads} 2>&1 | tee {log}"
