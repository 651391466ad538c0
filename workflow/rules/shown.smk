# What `snakemake --report` shows, and under which of the papers' tables; the captions are in workflow/report/.

CATEGORIES = {
    "Growth (Mango, and LiGO table 2)": [
        "growth",
        "accuracy_vs_flops",
        "compute_saved",
        "improvement",
        "operators",
    ],
    "Growth under other conventions": ["conventions", "conventions_figure"],
    "Growth, transfer (Mango)": ["transfer", "transfer_accuracy"],
    "Learngene, descendants (TLEG)": [
        "descendants",
        "descendants_improvement",
        "accuracy_by_depth",
        "descendants_convergence",
    ],
    "Learngene, cost and storage (TLEG)": ["family_cost", "storage", "fixed_set"],
    "Learngene, transfer (TLEG)": ["descendants_transfer"],
    "Learngene, linear layers (TLEG)": ["layers"],
    "Claims of both papers": ["claims", "claims_counted", "parameters"],
    "Plan and fact": ["plan"],
}
CATEGORY = {name: category for category, names in CATEGORIES.items() for name in names}


def shown(path, name=None):
    """A table as a page of HTML, or a figure as SVG; `name` is its label and caption, by default the file's own."""
    name = name or Path(path).stem
    return report(
        path,
        caption=f"../report/{name}.rst",
        category=CATEGORY[name],
        labels={
            "name": name.replace("_", " "),
            "kind": {".html": "table", ".svg": "figure"}[Path(path).suffix],
        },
    )


report: "../report/workflow.rst"
