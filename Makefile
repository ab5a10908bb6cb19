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

# Tests wait half of the time: for servers to start, and for time to pass.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(2 * os.cpu_count())' 2> /dev/null)
# The slow tests are next to each other: work stealing spreads them over the workers.
IN_PARALLEL = -n $(WORKERS) --dist worksteal
PYTEST = $(BIN)/pytest $(IN_PARALLEL)

# Arguments for pytest or the demo: make test ARGS="-k demo", make demo ARGS="--jobs 50"
ARGS ?=

# The folders of the examples in Python; Django has no types.
TYPED_EXAMPLES = $(filter-out %/django_project/,$(sort $(dir $(wildcard examples/*/*.py))))

# How long `make damage` and `make soak` run.
damage: MINUTES ?= 60
soak: MINUTES ?= 10

# The versions of PostgreSQL that `make versions` runs the tests against.
VERSIONS ?= 14 15 16 17 18

.DEFAULT_GOAL := help
.PHONY: help install demo bench quick test lowest fuzz damage soak mutants faults versions lint format docs pages types build check clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@echo "The times are those of two cores."

install: $(INSTALLED) ## install the package and its tools into .venv, as every target does: minutes

demo: $(INSTALLED) ## run every connector against an embedded PostgreSQL: under half a minute
	@$(BIN)/procrastinate-conn demo $(ARGS)

bench: $(INSTALLED) ## compare with connectors written by hand: time, round trips, a plot; some minutes
	@$(BIN)/python -m benchmarks $(ARGS)

quick: $(INSTALLED) ## run the tests that need no server and no subprocess: under a minute
	$(PYTEST) -m "not server and not subprocess" $(ARGS)

test: $(INSTALLED) ## run the test suite against PostgreSQL servers that it starts itself: ten minutes
	$(PYTEST) $(ARGS)

lowest: ## run the suite with the oldest versions that pyproject.toml allows: ten minutes, and a download
	PIP_CONSTRAINT=$(CURDIR)/tests/lowest.txt $(MAKE) --no-print-directory test VENV=.venv-lowest

fuzz: $(INSTALLED) ## compare with libpq on 21,000 generated configurations: five to thirty minutes
	FUZZ_CASES=3000 $(PYTEST) --timeout 3600 tests/resolution/test_fuzz.py $(ARGS)

damage: $(INSTALLED) ## feed damaged files and variables to everything that reads them: an hour
	DAMAGE_MINUTES=$(MINUTES) $(PYTEST) tests/fuzz $(ARGS)

soak: $(INSTALLED) ## defer jobs while backends are terminated, and account for every job: ten minutes
	@$(BIN)/python -m tests.soak --minutes $(MINUTES) $(ARGS)

mutants: $(INSTALLED) ## list the changes of resolution, pool rules and liveness that no test notices: hours
	$(BIN)/pip install --quiet mutmut
	$(BIN)/mutmut run --max-children $(WORKERS) $(ARGS)

faults: $(INSTALLED) ## cause the faults that take long (failover, lost packets, a full server): minutes
	$(PYTEST) tests/faults/slow_*.py $(ARGS)

versions: $(INSTALLED) ## run the connectors' tests against PostgreSQL 14 to 18: minutes, and a download
	$(BIN)/python tests/postgres_versions/run.py $(VENV)/postgresql "$(VERSIONS)" $(IN_PARALLEL) $(ARGS)

lint: $(INSTALLED) ## find faults, formatting that differs, and imports against the layers: seconds
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

format: $(INSTALLED) ## fix what ruff can fix: seconds
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

docs: $(INSTALLED) ## build the documentation into build/docs, and check its links: seconds
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs build/docs

pages: $(INSTALLED) ## generate the reference pages and the pictures: seconds
	$(BIN)/python -m docs.generate

types: $(INSTALLED) ## check the types of the package, and what its users write: a minute
	$(BIN)/mypy
	@# Each is an application of its own: several have a module `tasks`.
	$(BIN)/mypy --config-file= --strict tests/packaging/user_settings.py
	for example in $(TYPED_EXAMPLES); do $(BIN)/mypy --config-file= $$example || exit; done
	$(BIN)/pyright --pythonpath $(BIN)/python tests/packaging/user_settings.py $(TYPED_EXAMPLES)

build: $(INSTALLED) ## build the wheel and the sdist into dist/: seconds
	rm -rf dist
	$(BIN)/python -m build

check: test lint types build ## run everything that has to pass before a commit is shared

clean: ## remove everything that make has built
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
	@$(BIN)/python -m pip install --quiet --no-compile --editable '.[all]' --group dev
	@$(BIN)/python -m tests.other_versions
	@touch $@
