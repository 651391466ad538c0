# Data: fetch, verify, pack and split one image set.


rule pack:
    input:
        code=pack_code,
    output:
        expand("<data>/{{set}}/{file}", file=ARRAYS),
    log:
        "<logs>/data/{set}.log",
    priority: len(RUNS) + 1
    conda:
        "../envs/regrow.yaml"
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        arguments=pack_arguments,
        folder=subpath(output[0], parent=True),
    message:
        "data {wildcards.set}"
    shell:
        "regrow data {params.arguments} --out {params.folder} 2>&1 | tee {log}"
