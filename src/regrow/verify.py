"""What is published against what made it, without training: tables, records, configs, weights and data, by hash.

    verify(params, Path("results/mini"), Path("results/data"))

It goes down from the tables to the data and stops at the first thing that does not match. Weights and data that are
not here (a clone has the records only) are counted and not checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from regrow.config import Params, RunConfig, digest
from regrow.data.manifest import read_manifest
from regrow.errors import UserError
from regrow.records import read_json, sha256
from regrow.report.claims import ARITHMETIC, CLAIMS, load_ledger
from regrow.report.frames import read
from regrow.report.published import published_texts, same_texts
from regrow.study import Run, data_refs, runs


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What was found to match: numbers of files and runs, and of how many."""

    texts: int
    """Tables, claims and REPORT.md."""
    others: tuple[str, ...]
    """Files beside them that are not made again: figures, and what is made from weights."""
    runs: int
    planned: int
    """As many as `runs`, but where the report is of a part of the tier."""
    strays: int
    """Records of no run of the params file; they are in no table."""
    parents: int
    """Runs that start from another's weights."""
    weights: int
    sets: int
    all_sets: int

    def __str__(self) -> str:
        runs = f"{self.runs} runs" + (f" of {self.planned}" if self.runs < self.planned else "")
        weights = f"{self.weights} of {self.runs} files have the recorded checksum" + _absent(self.runs - self.weights)
        others = f"; not made again: {', '.join(self.others)}" if self.others else ""
        strays = f"; {self.strays} others are of no run of it" if self.strays else ""
        sets = f"{self.sets} of {self.all_sets} sets are those that the runs read" + _absent(self.all_sets - self.sets)
        return (
            f"report   {self.texts} files have the bytes that the records give{others}\n"
            f"records  {runs} have the configs of the params file{strays}\n"
            f"inputs   {self.parents} runs start from the weights that their parents' records name\n"
            f"weights  {weights}\n"
            f"data     {sets}"
        )


def verify(
    params: Params,
    results: Path,
    data: Path,
    claims: Path = CLAIMS,
    arithmetic: Path = ARITHMETIC,
    *,
    partial: bool = False,
) -> Verified:
    """Check what lies in `results` and in `data`, the folder of the packed sets.

    `claims` and `arithmetic` are what the verdicts on the papers' claims are made of, beside the records. With
    `partial`, the report is of the part of the tier that is done, and so is the check.

    Raises:
        UserError: the first thing that does not match, its file and the cure.
    """
    planned = runs(params)
    part = read(params, results, partial=True) if partial else None
    found = runs(part.params) if part else planned
    summaries = {key: _summary(results, run) for key, run in found.items()}
    records = part or read(params, results)
    texts = published_texts(records, results, load_ledger(claims, arithmetic))
    same_texts(texts, results)
    digests = {folder: _manifest_digest(data / folder) for folder in data_refs(records.params)}
    read_by_runs: dict[str, str | None] = {}
    for key, run in found.items():
        folder = run.config.data.folder
        data_digest = read_by_runs.setdefault(folder, digests[folder] or summaries[key]["inputs"].get("data"))
        _inputs(results, run, summaries, data_digest)
    weights = sum(_weights(results, key, summaries[key]["weights_sha256"]) for key in found)
    return Verified(
        texts=len(texts),
        others=tuple(sorted(_published(results) - set(texts))),
        runs=len(found),
        planned=len(planned),
        strays=len(set(results.glob("records/*/*/summary.json")) - {_record(results, key) for key in planned}),
        parents=sum(run.config.init is not None for run in found.values()),
        weights=weights,
        sets=sum(_arrays(data / folder) for folder, known in digests.items() if known),
        all_sets=len(digests),
    )


def _published(results: Path) -> set[str]:
    """What is published of a tier, as paths below it; the figures are one name."""
    found = [*results.glob("*.*"), *results.glob("tables/*"), *results.glob("figures")]
    return {path.relative_to(results).as_posix() for path in found}


def _summary(results: Path, run: Run) -> dict[str, Any]:
    """The run's summary, which must be of the params file's config."""
    path = _record(results, run.key)
    summary: dict[str, Any] = read_json(path)
    if lacking := [name for name in ("config", "inputs", "weights_sha256") if name not in summary]:
        raise UserError(f"{path}: has no {lacking[0]!r}; delete it and run `snakemake`")
    try:
        made: RunConfig = type(run.config).model_validate(summary["config"])
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise UserError(f"{path}: config.{where}: {error.errors()[0]['msg']}; run `snakemake`") from error
    if made != run.config:
        where, recorded, asked = _difference(made.model_dump(mode="json"), run.config.model_dump(mode="json"))
        raise UserError(
            f"{path}: made with config{where} {recorded!r}, but the params file says {asked!r}; run `snakemake`, or "
            "put the params file back"
        )
    return summary


def _difference(made: Any, asked: Any) -> tuple[str, Any, Any]:
    """The first key where two unequal configs differ, and what each has there."""
    if isinstance(made, Mapping) and isinstance(asked, Mapping):
        key = next(key for key in {**made, **asked} if made.get(key) != asked.get(key))
        where, one, other = _difference(made.get(key), asked.get(key))
        return f".{key}{where}", one, other
    return "", made, asked


def _inputs(results: Path, run: Run, summaries: Mapping[str, Mapping[str, Any]], data: str | None) -> None:
    """What the run read against its parent's record and the packed set: the one here, or that of the first run."""
    path, inputs = _record(results, run.key), summaries[run.key]["inputs"]
    parent = run.config.init
    expected = {"init": summaries[parent]["weights_sha256"]} if parent else {}
    expected |= {"data": data}
    if inputs == expected:
        return
    name = next(name for name in {**expected, **inputs} if inputs.get(name) != expected.get(name))
    what = f"the weights of {parent}" if name == "init" else f"the packed set {run.config.data.folder}"
    raise UserError(
        f"{path}: inputs.{name} is {inputs.get(name)}, but the sha256 of {what} is {expected.get(name)}: they were not "
        "made together; `snakemake` makes anew what is out of date"
    )


def _weights(results: Path, key: str, expected: str) -> bool:
    """Whether a weights file is here; where it is, it must be whole and the recorded one."""
    path = results / "weights" / f"{key}.safetensors"
    if not path.exists():
        return False
    from regrow.train.checkpoint import load_tensors

    _, metadata = load_tensors(path)
    if metadata["sha256"] != expected:
        raise UserError(
            f"{path}: sha256 {metadata['sha256']}, but {_record(results, key)} has {expected}; `dvc checkout` or "
            "`snakemake` brings weights and record together again"
        )
    return True


def _manifest_digest(folder: Path) -> str | None:
    """What the runs record of the packed set; None where it is not here."""
    return digest(read_manifest(folder)) if (folder / "manifest.json").exists() else None


def _arrays(folder: Path) -> bool:
    """The set's files against its manifest; True, or an error."""
    for name, expected in read_manifest(folder).sha256.items():
        path = folder / name
        found = sha256(path) if path.exists() else "no such file"
        if found != expected:
            raise UserError(f"{path}: sha256 {expected} expected, {found} found; delete the folder and run `snakemake`")
    return True


def _record(results: Path, key: str) -> Path:
    return results / "records" / key / "summary.json"


def _absent(number: int) -> str:
    return f"; {number} not here and not checked" if number else ""
