# Needs python3 (3.11 or newer) with pip, and make. Every target sets up what it needs.
BASE_PYTHON ?= python3
PYTHON := .venv/bin/python
STAMP := .venv/.installed
# Threads that spin while they wait slow down whatever else runs on the same cores, ten times and more; and models as
# small as the demo's and the tests' are fastest on one.
THREADS := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE

.DEFAULT_GOAL := help
.PHONY: help env demo test test-full lint format type bench evidence results

help: ## Lists the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: $(STAMP) ## Makes .venv with the pinned packages (again, when the pins change)

$(STAMP): pyproject.toml constraints.txt
	@test -x $(PYTHON) || $(BASE_PYTHON) -m venv .venv
	$(PYTHON) -m pip install -c constraints.txt -e ".[dev]"
	@touch $@

# The task of the demo, ner, qa or classification, and its draws; TEXTS=1 adds students that learn from texts without
# labels as well, at equal samples.
TASK ?= ner
DRAWS ?= 10,11,12
TEXTS ?=
# The rate of students that learn from texts, where it is another than that of students without: docs/demo.md.
TEXTS_RATE_ner := method.lr_scale=0.666667
SWEEP := multirun/demo/$(shell date +%Y-%m-%d_%H-%M-%S)
DEMO = $(THREADS) $(PYTHON) run.py -m hydra/launcher=side_by_side task=$(TASK) seed=$(DRAWS)

demo: $(STAMP) ## Compares plain fine-tuning, td and scd_aw on three draws, in under ten minutes; TASK=qa, classification; TEXTS=1
ifeq ($(TEXTS),)
	$(DEMO) method=sft,td,scd_aw
else
	$(DEMO) method=sft,td,scd_aw budget.samples=57600 hydra.sweep.dir=$(SWEEP)/labels
	$(DEMO) method=pl,scheduled_forward $(TEXTS_RATE_$(TASK)) budget.samples=57600 task.data.synthetic.unlabelled=3000 hydra.sweep.dir=$(SWEEP)/texts
	$(PYTHON) -m scd_lightning.report $(SWEEP)/labels $(SWEEP)/texts --output $(SWEEP)
endif

# How many processes the tests are spread over: as many as there are cores. A file's tests stay together, and so does
# what its fixtures make.
WORKERS ?= logical
TESTS := $(THREADS) $(PYTHON) -m pytest -n $(WORKERS) --dist loadfile

test: $(STAMP) ## Runs the tests, the slow ones apart; in one process: WORKERS=0
	$(TESTS) -m "not slow"

test-full: $(STAMP) ## Runs all tests
	$(TESTS)

lint: $(STAMP) ## Checks style and layout with ruff
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

format: $(STAMP) ## Mends what ruff can mend
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

type: $(STAMP) ## Checks types with mypy
	$(PYTHON) -m mypy

# What bench measures us against, each in an environment of its own; made again when its pins change.
PEERS := build/bench/trl/.installed build/bench/modelopt/.installed
BENCH ?=

build/bench/%/.installed: benchmarks/peers/%.txt
	@test -x build/bench/$*/bin/python || $(BASE_PYTHON) -m venv build/bench/$*
	build/bench/$*/bin/python -m pip install -r $<
	@touch $@

bench: $(STAMP) $(PEERS) ## Measures speed and memory, an hour on a CPU; parts of it: make bench BENCH="--only steps"
	OMP_WAIT_POLICY=PASSIVE $(PYTHON) -m benchmarks $(BENCH)

# A part of the evidence, 1 to 7, and the folder of real data sets, where it takes some. All by the kernels that most
# processors have: others round otherwise, and a training amplifies that.
PART ?= 1
DATA ?=

evidence: $(STAMP) ## Runs the blocks of a part of the evidence that are not there yet: make evidence PART=2; hours on two cores
	$(THREADS) ATEN_CPU_CAPABILITY=avx2 $(PYTHON) -m benchmarks.evidence run --part $(PART) $(if $(DATA),--data $(DATA))

results: $(STAMP) ## Makes docs/results.md and its plots from what `make evidence` has left
	$(PYTHON) -m benchmarks.evidence page
