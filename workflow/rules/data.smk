"""Data: fetch, verify, pack and split one image set."""


def data_code(wildcards):
    return sources("regrow.data.packing", SETS[DATA[wildcards.set].name].build.__module__)


def data_arguments(wildcards):
    ref = DATA[wildcards.set]
    return f"{ref.name} --img-size {ref.img_size} --minival {ref.minival} --seed {ref.seed}"


rule pack:
    input:
        code=data_code,
    output:
        expand("<data>/{{set}}/{file}", file=ARRAYS),
    log:
        "<logs>/data/{set}.log",
    params:
        arguments=data_arguments,
        folder=subpath(output[0], parent=True),
    shell:
        "regrow data {params.arguments} --out {params.folder} 2>&1 | tee {log}"
