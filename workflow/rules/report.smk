# Report: tables, figures, claims and REPORT.md, from the records alone; the claims also from their ledger and arithmetic.

TABLES = ["growth", "operators", "improvement", "conventions", "plan"]
TIDY = ["runs", "curves", "seconds", "seconds_conventions", "seconds_plan"]
FIGURES = ["accuracy_vs_flops", "compute_saved"]
if STUDY.transfer_data:
    TABLES.append("transfer")
    FIGURES.append("transfer_accuracy")
if STUDY.learngene:
    TABLES += ["descendants", "descendants_improvement", "family_cost", "storage", "fixed_set"]
    FIGURES += ["accuracy_by_depth", "descendants_convergence"]
    if STUDY.learngene.transfer_depths and STUDY.transfer_data:
        TABLES.append("descendants_transfer")


rule report:
    input:
        records=expand("<results>/records/{key}/{file}", key=RUNS, file=RECORDS),
        claims=CLAIMS,
        arithmetic="results/arithmetic/claims.csv",
        code=sources("regrow.report"),
    output:
        expand("<results>/tables/{table}.csv", table=TABLES + TIDY),
        expand("<results>/figures/{figure}.{kind}", figure=FIGURES + ["conventions"], kind=["png", "pdf"]),
        [shown(f"<results>/tables/{table}.html") for table in TABLES],
        [shown(f"<results>/figures/{figure}.svg") for figure in FIGURES],
        shown("<results>/figures/conventions.svg", name="conventions_figure"),
        shown("<results>/claims.html"),
        claims=["<results>/claims.csv", "<results>/claims.md"],
        metrics="<results>/metrics.json",
        page="<results>/REPORT.md",
    log:
        "<logs>/report.log",
    conda:
        "../envs/regrow.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        study=PARAMS,
        digest=digest(STUDY),  # a label or a description is in the tables too
        results=subpath(output.page, parent=True),
    shell:
        "regrow report {params.study} --results {params.results} --claims {input.claims} "
        "--arithmetic {input.arithmetic} 2>&1 | tee {log}"


# Remakes what lies in the results from the records that lie there, asking for no run: works on a fresh clone, and on a
# tier that still runs, whose report says what is missing.
rule tables:
    log:
        "<logs>/tables.log",
    conda:
        "../envs/regrow.yaml"
    params:
        study=PARAMS,
        results=RESULTS,
    shell:
        "regrow report {params.study} --results {params.results} --partial 2>&1 | tee {log}"


# README.md's figure and first table, between its markers. Always runs, because the file is in git and has no other maker.
rule readme:
    input:
        rules.report.output,
        page="<results>/REPORT.md",
    log:
        "<logs>/readme.log",
    conda:
        "../envs/regrow.yaml"
    params:
        study=PARAMS,
        results=subpath(input.page, parent=True),
    shell:
        "regrow readme {params.study} --results {params.results} 2>&1 | tee {log}"
