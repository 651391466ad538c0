# Pictures: the maps of every operator, for docs/operators.md. The same for every tier.

from regrow.growth.registry import OPERATORS


rule pictures:
    input:
        code=sources("regrow.pictures", *(operator.module for operator in OPERATORS.values())),
    output:
        [
            report(
                f"results/operators/{operator}.svg",
                caption="../report/pictures.rst",
                category="Operators",
                labels={"operator": operator},
            )
            for operator in OPERATORS
        ],
    log:
        "<logs>/pictures.log",
    conda:
        "../envs/regrow.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        folder=subpath(output[0], parent=True),
    shell:
        "regrow pictures --out {params.folder} 2>&1 | tee {log}"
