# Needs python3 (3.11 or newer) with pip, and make. Every target sets up what it needs.
BASE_PYTHON ?= python3
PYTHON := .venv/bin/python
STAMP := .venv/.installed
# Threads that spin while they wait slow down whatever else runs on the same cores, ten times and more; and models as
# small as the demo's and the tests' are fastest on one.
THREADS := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE

.DEFAULT_GOAL := help
.PHONY: help env demo test test-full lint format type bench

help: ## Lists the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: $(STAMP) ## Makes .venv with the pinned packages (again, when the pins change)

$(STAMP): pyproject.toml constraints.txt
	@test -x $(PYTHON) || $(BASE_PYTHON) -m venv .venv
	$(PYTHON) -m pip install -c constraints.txt -e ".[dev]"
	@touch $@

demo: $(STAMP) ## Trains and compares four methods on the embedded data, in a few minutes on a CPU
	$(THREADS) $(PYTHON) run.py -m method=sft,td,scd,scd_aw

test: $(STAMP) ## Runs the tests, the slow ones apart
	$(THREADS) $(PYTHON) -m pytest -m "not slow"

test-full: $(STAMP) ## Runs all tests
	$(THREADS) $(PYTHON) -m pytest

lint: $(STAMP) ## Checks style and layout with ruff
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

format: $(STAMP) ## Mends what ruff can mend
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

type: $(STAMP) ## Checks types with mypy
	$(PYTHON) -m mypy

bench: $(STAMP) ## Runs every script of benchmarks/
	@test -n "$(wildcard benchmarks/*.py)" || { echo "There is no script in benchmarks/."; exit 1; }
	@set -e; for script in $(sort $(wildcard benchmarks/*.py)); do echo "== $$script"; $(PYTHON) $$script; done
