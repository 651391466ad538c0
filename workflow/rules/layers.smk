# Layers: how linear the trained targets' weights are in the layer's position. Reads weights, so no part of the report.

from regrow.layers.choice import analysed

ANALYSED = analysed(STUDY, RUNS)


rule layers:
    input:
        weights=expand("<results>/weights/{key}.safetensors", key=ANALYSED),
        code=sources("regrow.layers.write"),
    output:
        shown("<results>/figures/layers.svg"),
        expand("<results>/figures/layers.{kind}", kind=["png", "pdf"]),
        table="<results>/tables/layers.csv",
    log:
        "<logs>/layers.log",
    conda:
        "../envs/regrow.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        figures=subpath(output[0], parent=True),
        tables=subpath(output.table, parent=True),
    shell:
        "regrow layers {input.weights} --out {params.figures} --table {params.tables} 2>&1 | tee {log}"


# A tier of two-layer models has nothing to look at.
ALL_LAYERS = rules.layers.output if ANALYSED else []
