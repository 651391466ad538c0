"""`regrow`: every stage of the DAG as a command, and a few for people.

torch is imported by the commands that need it, after the arguments are read: `regrow --help` answers at once.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from regrow.config import STAGES, load_params, load_run
from regrow.errors import UserError


def main(argv: list[str] | None = None) -> int:
    """Run one command. Exit codes: 0 done, 2 the user's mistake, 128 + n stopped by signal n."""
    arguments = _parser().parse_args(argv)
    try:
        arguments.command(arguments)
    except UserError as error:
        print(f"regrow: error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 141
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="regrow", description="Grow Vision Transformers and measure what it saves.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    data = commands.add_parser("data", help="build one image set: fetch, verify, pack, split")
    data.add_argument("name", help="a registered set, or 'list'")
    data.add_argument("--img-size", type=int, default=28, metavar="PX")
    data.add_argument("--minival", type=_number, default=0.1, help="images held out of train: a number or a share")
    data.add_argument("--seed", type=int, default=0)
    data.add_argument("--out", type=Path, help="the folder to write")
    data.add_argument("--cache", type=Path, help="where downloads are kept (default: $REGROW_CACHE or ~/.cache/regrow)")
    data.set_defaults(command=_data)

    helps = {
        "pretrain": "train a small source model",
        "grow": "make a target's initial weights from a source, fitting the operator where it is learned",
        "target": "train the large model, from grown weights or from scratch",
        "transfer": "train a target's weights on another set",
    }
    for stage in STAGES:
        command = commands.add_parser(stage, help=helps[stage])
        command.add_argument("config", type=Path, help="the run's resolved config.json (see `regrow config`)")
        command.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="the packed set")
        command.add_argument("--init", type=Path, metavar="WEIGHTS", help="the parent's weights.safetensors")
        command.add_argument("--weights", type=Path, required=True, metavar="OUT", help="the weights to write")
        command.add_argument(
            "--records", type=Path, required=True, metavar="FOLDER", help="for summary, metrics, provenance"
        )
        command.add_argument("--work", type=Path, metavar="FOLDER", help="checkpoints (default: beside --records)")
        command.add_argument("--device", default="cpu", choices=("cpu", "cuda", "auto"))
        command.add_argument("--threads", type=int, default=1)
        command.set_defaults(command=_stage, stage=stage)

    config = commands.add_parser("config", help="print the resolved config of a run, or list the runs of a tier")
    config.add_argument("params", type=Path)
    config.add_argument("run", nargs="?", metavar="STAGE/RUN", help="without it: the list of runs")
    config.set_defaults(command=_config)

    report = commands.add_parser("report", help="tables, figures and REPORT.md from the records alone")
    report.add_argument("params", type=Path)
    report.add_argument("--results", type=Path, required=True, metavar="FOLDER", help="results/<tier>")
    report.set_defaults(command=_report)

    readme = commands.add_parser("readme", help="put the first table and figure between the README's markers")
    readme.add_argument("params", type=Path)
    readme.add_argument("--results", type=Path, required=True, metavar="FOLDER")
    readme.add_argument("--readme", type=Path, default=Path("README.md"))
    readme.add_argument("--check", action="store_true", help="change nothing; fail if it would change")
    readme.set_defaults(command=_readme)

    compare = commands.add_parser("compare", help="the numbers just made beside the committed ones")
    compare.add_argument("--results", type=Path, required=True, metavar="FOLDER")
    compare.add_argument("--revision", default="HEAD", help="the git revision of the committed tables")
    compare.set_defaults(command=_compare)

    unlock = commands.add_parser("unlock", help="take away the lock that a killed Snakemake left in this folder")
    unlock.set_defaults(command=_unlock)
    return parser


def _number(text: str) -> int | float:
    value = float(text)
    return value if value < 1 else int(value)


def _data(arguments: argparse.Namespace) -> None:
    from regrow.data import SETS, pack
    from regrow.data.registry import find_set

    if arguments.name == "list":
        for name, image_set in SETS.items():
            counts = f"{image_set.num_classes:5} classes  {image_set.train:6} / {image_set.test:6}"
            print(f"{name:15} {counts}  {image_set.what}")
        return
    find_set(arguments.name)
    if not arguments.out:
        raise UserError("give --out FOLDER")
    manifest = pack(
        arguments.name,
        img_size=arguments.img_size,
        seed=arguments.seed,
        minival=arguments.minival,
        out=arguments.out,
        cache=arguments.cache,
    )
    print(f"data {manifest.name}: {dict(manifest.counts)} in {arguments.out}")


def _stage(arguments: argparse.Namespace) -> None:
    config = load_run(arguments.config)
    if config.stage != arguments.stage:
        raise UserError(f"{arguments.config}: a config of stage {config.stage}; run `regrow {config.stage}`")
    from regrow.config import GrowConfig
    from regrow.stages import grow, model
    from regrow.stages.outcome import Place

    place = Place(
        data=arguments.data,
        init=arguments.init,
        weights=arguments.weights,
        records=arguments.records,
        work=arguments.work or arguments.records / "work",
        device=arguments.device,
        threads=arguments.threads,
    )
    if isinstance(config, GrowConfig):
        grow.run(config, place)
    else:
        model.run(config, place)


def _config(arguments: argparse.Namespace) -> None:
    from regrow.config import canonical
    from regrow.study import runs

    found = runs(load_params(arguments.params))
    if arguments.run is None:
        print("\n".join(found))
    elif arguments.run in found:
        print(canonical(found[arguments.run].config))
    else:
        raise UserError(f"{arguments.run}: no such run in {arguments.params}; without a run, the command lists them")


def _report(arguments: argparse.Namespace) -> None:
    from regrow.report import write_report

    write_report(load_params(arguments.params), arguments.results)


def _readme(arguments: argparse.Namespace) -> None:
    from regrow.report import update_readme

    update_readme(load_params(arguments.params), arguments.results, arguments.readme, check=arguments.check)


def _compare(arguments: argparse.Namespace) -> None:
    from regrow.report import compare

    compare(arguments.results, arguments.revision)


def _unlock(arguments: argparse.Namespace) -> None:
    from regrow.unlock import unlock

    if unlock(Path.cwd()):
        print("the lock of a dead run is gone; checkpoints are kept")


if __name__ == "__main__":
    sys.exit(main())
