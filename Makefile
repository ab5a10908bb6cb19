# A newcomer's two commands are `make demo` and `make test`; `make help` lists the others.

PYTHON ?= python3
# The interpreter in PATH gets .venv, any other that is asked for gets an environment of its own:
# `make test PYTHON=python3.13` leaves .venv as it is.
ifeq ($(origin PYTHON),file)
VENV ?= .venv
else
VENV ?= .venv-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2> /dev/null)
endif
VENV := $(VENV)
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# Half of the time tests wait, for servers to start and for time to pass.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(2 * os.cpu_count())' 2> /dev/null)
# The slow tests stand together: an idle worker has to take them from the one that got them all.
IN_PARALLEL = -n $(WORKERS) --dist worksteal
PYTEST = $(BIN)/pytest $(IN_PARALLEL)

# Arguments for pytest or the demo: make test ARGS="-k demo", make demo ARGS="--jobs 50"
ARGS ?=

# How long `make damage` goes on.
MINUTES ?= 60

.DEFAULT_GOAL := help
.PHONY: help demo bench test lowest fuzz damage mutants faults versions lint format docs pages types build check clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: $(INSTALLED) ## run all five connectors against an embedded PostgreSQL
	@$(BIN)/procrastinate-conn demo $(ARGS)

bench: $(INSTALLED) ## compare with connectors written by hand: time, round trips, a plot
	@$(BIN)/python -m benchmarks $(ARGS)

test: $(INSTALLED) ## run the test suite against PostgreSQL servers that it starts itself
	$(PYTEST) $(ARGS)

lowest: ## run it with the oldest versions of everything that pyproject.toml allows
	PIP_CONSTRAINT=$(CURDIR)/tests/lowest.txt $(MAKE) --no-print-directory test VENV=.venv-lowest

fuzz: $(INSTALLED) ## compare with libpq on 21,000 generated configurations, for five to thirty minutes
	FUZZ_CASES=3000 $(PYTEST) --timeout 3600 tests/resolution/test_fuzz.py $(ARGS)

damage: $(INSTALLED) ## feed damaged files and variables to everything that reads them, for an hour
	DAMAGE_MINUTES=$(MINUTES) $(PYTEST) tests/fuzz $(ARGS)

mutants: $(INSTALLED) ## change resolution, pool rules and liveness in 2,000 ways, and see which changes tests miss
	$(BIN)/pip install --quiet mutmut
	$(BIN)/mutmut run --max-children $(WORKERS) $(ARGS)

faults: $(INSTALLED) ## cause the faults that take long: failover, lost packets, a server that is away or full
	$(PYTEST) tests/faults/slow_*.py $(ARGS)

versions: $(INSTALLED) ## run the connectors' tests against PostgreSQL 14 to 18
	$(BIN)/python tests/postgres_versions/run.py $(VENV)/postgresql $(IN_PARALLEL) $(ARGS)

lint: $(INSTALLED) ## look for faults and for formatting that differs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(INSTALLED) ## mend what can be mended by itself
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

docs: $(INSTALLED) ## build the documentation into build/docs, and check its links
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs build/docs

pages: $(INSTALLED) ## write the pages and pictures again that are made from the package
	$(BIN)/python -m docs.generate

types: $(INSTALLED) ## check the types of the package
	$(BIN)/mypy

build: $(INSTALLED) ## build the wheel and the sdist into dist/
	rm -rf dist
	$(BIN)/python -m build

check: test lint types build ## everything that has to pass before a commit is shared

clean: ## remove everything that make has made
	rm -rf .venv .venv-3.* .venv-lowest build dist mutants .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml
	@command -v $(PYTHON) > /dev/null || { \
	  echo "There is no $(PYTHON) here. Name a Python >= 3.11: make $(or $(MAKECMDGOALS),test) PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("procrastinate-conn needs Python >= 3.11, and \
	$(PYTHON) is %d.%d. Name a newer one: make $(or $(MAKECMDGOALS),test) PYTHON=python3.13" % sys.version_info[:2])'
	@echo "Installing procrastinate-conn and its tools into $(VENV) (once, and when pyproject.toml changes)"
	@$(BIN)/python -m pip --version > /dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@# The pip of Python 3.11 does not know dependency groups yet.
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --editable '.[all]' --group dev
	@touch $@
