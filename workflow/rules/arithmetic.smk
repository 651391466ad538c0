# Arithmetic: the papers' parameter counts and cost claims, computed without training. The same for every tier.


rule arithmetic:
    input:
        code=sources("regrow.arithmetic.tables"),
    output:
        expand(
            "results/arithmetic/{table}.{form}",
            table=["parameters", "claims"],
            form=["csv", "md"],
        ),
        shown("results/arithmetic/parameters.html"),
        shown("results/arithmetic/claims.html", name="claims_counted"),
    log:
        "<logs>/arithmetic.log",
    conda:
        "../envs/regrow.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        folder=subpath(output[0], parent=True),
    shell:
        "regrow count --out {params.folder} 2>&1 | tee {log}"
