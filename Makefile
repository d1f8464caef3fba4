# The two commands of the README are `make demo` and `make test`; everything they need they install into .venv.
PYTHON ?= python3
# The tests start the program a hundred times: modules that are compiled each time anew cost more than they do.
unexport PYTHONDONTWRITEBYTECODE
VENV := .venv
BIN := $(VENV)/bin

KILLS ?= 1000
INJURIES ?= 2000
STATES ?= 50000
MINUTES ?= 30
SECONDS ?= 60
RATE ?= 1000

SUITE ?= trixie

.PHONY: help demo test coverage proofs thorough stress lint types rules build docs screenshots image fresh bench instructions pace growth exports looks scale simulate leases-model kills chaos power-loss soak load clean

help:
	@echo "make demo   set up and run 36 pictures on the sandbox, no credentials needed"
	@echo "make test   set up and run the quick tests of every module; two to four minutes, its set-up included"
	@echo "make coverage: the same, and which lines they cover; at least 90 %"
	@echo "make thorough: the proofs with every byte, every write and every mistake; an hour"
	@echo "make proofs the rest of the tests: kills, power loss, failing disks, fuzzing; 10 to 20 minutes"
	@echo "make lint   ruff, mypy, the order of imports, the rules of the code, and what documents say"
	@echo "make build  the wheel"
	@echo "make docs   the documents as a site, in build/site; every link checked"
	@echo "make screenshots: the pictures of the documents, made anew from the demo and the tutorial; needs chromium"
	@echo "make image  the steps of the Dockerfile, carried out without Docker, and the demo in what they make"
	@echo "make fresh SUITE=trixie: the demo and the tests on a bare Debian root; needs root and debootstrap"
	@echo "make stress: the tests and the proofs, twice each, on a machine that is busy with other things"
	@echo "make bench, make pace, make growth, make exports: speed, use of the limit, size; docs/performance.md"
	@echo "make instructions: the cost of a picture in instructions, whatever the machine's speed; 4 minutes; needs valgrind"
	@echo "make looks  size and speed of the page in a browser: 36, 1,000 and 10,000 products; docs/looks.md"
	@echo "make scale  the cost of leases and of many machines; make leases-model: 20,000 histories of leases; 20 minutes"
	@echo "make simulate: 100 million pictures and 1,000 accounts, by the real leases in virtual time; docs/estimates.md"
	@echo "make chaos INJURIES=2000: four workers killed, frozen and cut off, over and over; an hour; docs/many-machines.md"
	@echo "make kills KILLS=1000, make power-loss STATES=50000, make soak MINUTES=30, make load RATE=1000: the long proofs, docs/reliability.md"

# Python compiles what it loads, and that is a small part of what there is: pip would take twice as long to compile it all.
INSTALL = $(BIN)/pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt

# The pip that Python 3.11 brings takes twice as long as one of today for what the tests need: 56 s, not 29. Where there
# is no newer one, the old one does.
$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	-$(INSTALL) --upgrade pip

$(VENV)/.demo: $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) -e '.[sandbox,export]'
	@touch $@

$(VENV)/.test: $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) -e '.[test]'
	@touch $@

$(VENV)/.ray: $(VENV)/.test
	$(INSTALL) -e '.[ray]'
	@touch $@

$(VENV)/.docs: $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) -e '.[docs]'
	@touch $@

demo: $(VENV)/.demo
	$(BIN)/pipeline run configs/demo.yaml

test: $(VENV)/.test
	$(BIN)/python -m pytest -n auto --dist worksteal -m 'not proofs'

coverage: $(VENV)/.test
	$(BIN)/python -m pytest -n auto --dist worksteal -m 'not proofs' --cov --cov-report=term:skip-covered

thorough: $(VENV)/.ray
	THOROUGH=1 COLD_STARTS=1 $(BIN)/python -m pytest -n auto --dist worksteal --durations=12 -m proofs

proofs: $(VENV)/.ray
	$(BIN)/python -m pytest -n auto --dist worksteal --durations=12 -m proofs

stress: $(VENV)/.ray
	.ci/busy 4 $(MAKE) test proofs
	.ci/busy 4 $(MAKE) test proofs

fresh:
	.ci/fresh $(SUITE)

lint: $(VENV)/.test
	$(MAKE) --jobs 2 --output-sync types rules

types: $(VENV)/.test
	$(BIN)/mypy

rules: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest -m 'not proofs' tests/house

build: $(VENV)/.test
	$(BIN)/python -m build --wheel

docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

screenshots: $(VENV)/.test
	$(BIN)/python -m tests.support.screenshots

image: $(VENV)/.test
	$(BIN)/python -m tests.support.dockerfile

kills: $(VENV)/.test
	$(BIN)/python -m tests.proof kills --kills $(KILLS)

chaos: $(VENV)/.test
	$(BIN)/python -m tests.proof chaos --injuries $(INJURIES)

power-loss: $(VENV)/.test
	$(BIN)/python -m tests.proof power-loss --states $(STATES)

soak: $(VENV)/.test
	$(BIN)/python -m tests.proof soak --minutes $(MINUTES)

load: $(VENV)/.test
	$(BIN)/python -m tests.proof load --seconds $(SECONDS) --rate $(RATE)

bench: $(VENV)/.test
	$(BIN)/python -m tests.bench.compare

instructions: $(VENV)/.test
	$(BIN)/python -m tests.bench.instructions

pace: $(VENV)/.test
	$(BIN)/python -m tests.bench.pace

growth: $(VENV)/.test
	$(BIN)/python -m tests.bench.growth

exports: $(VENV)/.test
	$(BIN)/python -m tests.bench.exports

looks: $(VENV)/.test
	$(BIN)/python -m tests.bench.looks

scale: $(VENV)/.ray
	$(BIN)/python -m tests.bench.leases
	$(BIN)/python -m tests.bench.lease_cpu
	$(BIN)/python -m tests.bench.machines
	$(BIN)/python -m tests.bench.many_machines
	$(BIN)/python -m tests.bench.shards
	$(BIN)/python -m tests.bench.many_shards
	$(BIN)/python -m tests.bench.takeover
	$(BIN)/python -m tests.bench.deaths
	THOROUGH=1 $(BIN)/python -m pytest tests/proof/test_ray.py tests/proof/test_many_machines.py \
	  tests/proof/test_cut_folder.py tests/proof/test_cut_networks.py tests/proof/test_chaos.py

simulate: $(VENV)/.test
	$(BIN)/python -m tests.bench.simulate

leases-model: $(VENV)/.test
	THOROUGH=1 $(BIN)/python -m pytest -n auto --dist worksteal tests/leases/test_model.py

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
