# Everything a user or a developer starts. The first call sets up .venv from requirements.lock.
VENV ?= .venv
# The lock was made on 3.11: it is tried first.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := $(VENV)/bin
STAMP := $(VENV)/.from-lock
# With a folder of wheels (make wheels, where there is a network) set-up needs no network.
WHEELS ?= wheels
OFFLINE = $(if $(wildcard $(WHEELS)/*.whl),--no-index --find-links $(WHEELS))
STUDY ?= config/config.yaml
FOLDER ?= studies
# What `snakemake --config` puts on top of the study's file, such as data_dir=/secure/trial.
CONFIG ?=

export PATH := $(abspath $(BIN)):$(PATH)

# Each job is single-threaded by itself; Snakemake fills the cores.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: help setup wheels demo check run unlock test test-cluster lint format bench bench-peers calibration response-calibration cost study freeze compare clean

help:
	@echo "make demo              set up, run the shipped study on a simulated trial, say where the report is"
	@echo "make wheels            fetch the libraries for a machine without a network, where make setup takes them"
	@echo "make check STUDY=...   read a study's configuration and tables, and say what is wrong with them"
	@echo "make run STUDY=...     run all of a study, and say where the results are"
	@echo "make test              set up, run every test"
	@echo "make test-cluster      install a Slurm of four nodes on this machine (root, Debian), and test on it"
	@echo "make study NAME=mine   write a commented configuration and empty tables for a new study"
	@echo "make unlock            let a study be run again after its run was killed (STUDY=... for another study)"
	@echo "make freeze NAME=2026-11           keep the results as they are, read-only (STUDY=... for another study)"
	@echo "make compare FROM=2026-05 TO=2026-11  what moved between two freezes, and why"
	@echo "make lint              ruff, snakefmt, snakemake --lint"
	@echo "make bench             measure, and print"
	@echo "make bench-peers       install the other programs that make bench compares with, apart"
	@echo "make calibration       simulate whether p-values and limits hold their level (an hour)"
	@echo "make cost              measure what a study costs by its size (docs/cost.md; half an hour)"
	@echo "make response-calibration   simulate whether the response models are honest (half an hour)"
	@echo "make clean             remove results, caches and the virtual environment"

setup: $(STAMP)

$(STAMP): requirements.lock
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, and none was found"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(OFFLINE) -r requirements.lock
	$(BIN)/python scripts/compile_engine.py
	touch $@

# A set-up elsewhere takes them if it has the same kind of machine and the same Python.
wheels:
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	rm -rf $(WHEELS).part
	@echo "Fetching some eighty libraries and building what comes as source: a few minutes"
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check -r requirements.lock --wheel-dir $(WHEELS).part
	rm -rf $(WHEELS) && mv $(WHEELS).part $(WHEELS)
	@echo "Copy $(WHEELS)/ into this folder on the machine without a network: make setup takes them from there."

demo: setup
	$(BIN)/snakemake
	@echo
	@echo "The report is $(CURDIR)/results/report.html (to send it: results/report.zip)"

test: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile

# The configuration is read before Snakemake reads it: a slip of YAML is told with its line.
check: setup
	@$(BIN)/python scripts/check_configuration.py "$(STUDY)"
	@echo "Reading the tables of $(STUDY)"
	@$(BIN)/snakemake check --quiet all --configfile "$(STUDY)" $(if $(CONFIG),--config $(CONFIG))

run: setup
	@$(BIN)/python scripts/check_configuration.py "$(STUDY)"
	$(BIN)/snakemake --configfile "$(STUDY)" $(if $(CONFIG),--config $(CONFIG))

unlock: setup
	@$(BIN)/snakemake --unlock --configfile "$(STUDY)" $(if $(CONFIG),--config $(CONFIG))

test-cluster: setup
	$(BIN)/python -m pytest tests/cluster

lint: setup
	$(BIN)/ruff check scripts tests
	$(BIN)/ruff format --check scripts tests
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

format: setup
	$(BIN)/ruff check --fix scripts tests
	$(BIN)/ruff format scripts tests
	$(BIN)/snakefmt Snakefile workflow

bench: setup
	$(BIN)/python tests/benchmarks/workflow.py
	$(BIN)/python tests/benchmarks/engine.py
	$(BIN)/python tests/benchmarks/elastic_net.py
	$(BIN)/python tests/benchmarks/randomisation.py

# Programs that make bench compares with, in an environment of their own: they would change the locked versions.
bench-peers:
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check lifelines survival
	@Rscript -e 'library(survival); library(glmnet)' >/dev/null 2>&1 || \
		echo "For R beside them, on Debian as root: apt-get install --no-install-recommends r-base-core r-cran-survival r-cran-glmnet"

# Under an hour on two cores; it goes on where it was stopped. Remove docs/calibration.tsv after a change of the method.
calibration: setup
	$(BIN)/python tests/calibration/run.py --processes 2 --out docs/calibration.tsv --document docs/calibration.md
	$(BIN)/python tests/calibration/resistance.py --out docs/calibration_resistance.tsv

# Half an hour of an idle core. Remove docs/cost.tsv after a change of the engine.
cost: setup
	$(BIN)/python tests/benchmarks/cost.py

# Noise, limits and benefit of the response models; goes on where it was stopped, as above.
response-calibration: setup
	$(BIN)/python tests/calibration/response_models.py --processes 2 --out docs/response_calibration.tsv --document docs/response_calibration.md

study: setup
	@test -n "$(NAME)" || { echo "Say its name: make study NAME=mine"; exit 1; }
	$(BIN)/python scripts/new_study.py "$(NAME)" --folder "$(FOLDER)"

freeze: setup
	@test -n "$(NAME)" || { echo "Say its name: make freeze NAME=2026-11"; exit 1; }
	@$(BIN)/python scripts/freeze_results.py "$(NAME)" --study "$(STUDY)" --config $(CONFIG)

compare: setup
	@test -n "$(FROM)" && test -n "$(TO)" || { echo "Say which two: make compare FROM=2026-05 TO=2026-11"; exit 1; }
	@$(BIN)/python scripts/compare_freezes.py "$(FROM)" "$(TO)"

clean:
	rm -rf $(VENV) .snakemake results resources .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
