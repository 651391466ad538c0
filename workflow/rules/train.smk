# Pretrain, grow, target, transfer: one rule, because they differ by their config alone.


localrules:
    config,


rule config:
    output:
        "<results>/configs/{stage}/{run}.json",
    log:
        "<logs>/configs/{stage}/{run}.log",
    priority: run_priority
    conda:
        "../envs/regrow.yaml"
    params:
        text=resolved_config,
    message:
        "config {wildcards.stage} {wildcards.run}"
    shell:
        "printf '%s\\n' {params.text:q} > {output} 2> {log}"


rule train:
    input:
        config="<results>/configs/{stage}/{run}.json",
        manifest=run_manifest,
        init=parent_weights,
        code=run_code,
    output:
        weights="<results>/weights/{stage}/{run}.safetensors",
        metrics="<results>/records/{stage}/{run}/metrics.jsonl",
        provenance="<results>/records/{stage}/{run}/provenance.json",
        summary="<results>/records/{stage}/{run}/summary.json",
    log:
        "<logs>/{stage}/{run}.log",
    priority: run_priority
    conda:
        "../envs/regrow.yaml"
    threads: 1
    resources:  # a change of one reruns nothing
        mem_mb=run_memory,
        runtime=run_minutes,
        device="cpu",
        processes=1,
        runs_per_gpu=1,
        save_every=str(config.get("save_every", SAVE_EVERY)),
    params:
        data=data_folder,
        init=init_option,
        records=subpath(output.summary, parent=True),
        work=work_folder,
    message:
        "{wildcards.stage} {wildcards.run}"
    shell:
        "regrow run {input.config} --data {params.data} {params.init}"
        " --weights {output.weights} --records {params.records} --work {params.work}"
        " --device {resources.device} --runs-per-gpu {resources.runs_per_gpu} --threads {threads}"
        " --processes {resources.processes} --save-every {resources.save_every} 2>&1 | tee -i {log}"
