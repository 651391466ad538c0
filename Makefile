# `make reproduce` and `make test` do all the set-up; both are safe to repeat and do no work twice.

PYTHON ?= python3.11
VENV := .venv
READY := $(VENV)/.ready
CORES ?= all
TIER ?= mini
MINUTES ?= 8
PROFILE ?=
ONLY ?=
TARGETS ?=
export PATH := $(abspath $(VENV))/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup reproduce resume piece test kills lint types format lock

help: ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(READY) ## the environment in .venv, from requirements.lock, every file checked by its hash

$(READY): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) not found: install Python 3.11, or make PYTHON=..."; exit 2; }
	test -x $(VENV)/bin/pip || $(PYTHON) -m venv $(VENV)
	@# uv's own pin and hashes are in the lock too; pip reads just those, uv the rest.
	test -x $(VENV)/bin/uv || { awk '/^uv==/ {on = 1} on; on && !/\\$$/ {exit}' requirements.lock >$(VENV)/uv.lock && \
	  $(VENV)/bin/python -m pip install --quiet --require-hashes --requirement $(VENV)/uv.lock; }
	uv pip sync --quiet --compile-bytecode --require-hashes --python $(VENV)/bin/python requirements.lock
	uv pip install --quiet --no-deps --no-build-isolation --python $(VENV)/bin/python --editable .
	@touch $@

reproduce: $(READY) ## the whole study of the default tier, then the numbers beside the committed ones
	regrow unlock
	snakemake --cores $(CORES) --config params=params/$(TIER).yaml
	@if git cat-file -e HEAD:results/$(TIER)/tables/growth.csv 2>/dev/null; then regrow compare --results results/$(TIER); \
	else echo "no tables of tier $(TIER) are committed: nothing to compare with"; fi

resume: reproduce ## the same: a killed study goes on from its checkpoints

piece: $(READY) ## MINUTES of the study, then its runs save their state; the next piece goes on. TIER, PROFILE, ONLY, TARGETS
	regrow unlock
	regrow piece $(MINUTES) snakemake $(TARGETS) --cores $(CORES) $(if $(PROFILE),--profile profiles/$(PROFILE)) \
	  --config params=params/$(TIER).yaml $(if $(ONLY),only='$(ONLY)')

test: $(READY) ## every test, on the CPU
	pytest

kills: $(READY) ## 20 kills at random moments of the smoke study, each resumed and compared: about 10 minutes
	python tests/killed_study.py --moments 20 --seed 0

lint: $(READY) ## style of the Python and of the workflow
	ruff check src tests
	ruff format --check src tests
	snakefmt --check Snakefile workflow
	snakemake --lint --config params=params/smoke.yaml

types: $(READY) ## the type checker
	mypy

format: $(READY) ## rewrite the files in the one style
	ruff check --fix src tests
	ruff format src tests
	snakefmt Snakefile workflow

lock: $(READY) ## requirements.lock anew from pyproject.toml
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-annotate --no-header --extra dev --extra kubernetes --extra slurm pyproject.toml --output-file requirements.lock
