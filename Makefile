# customer-tiering: two commands matter, `make run` and `make test`; each sets up what it needs.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PROFILE ?= sample
AS_OF   ?=
DATA    ?=
PORT    ?= 8080
CUSTOMERS ?= 1000000
REPEATS ?= 3
PYTHON  ?= python3.11

VENV    := .venv
BIN     := $(VENV)/bin
READY   := $(VENV)/.ready

# A module's nights stay together; the longest modules begin first (tests/conftest.py).
PARALLEL := -n 2 --dist loadfile --no-loadscope-reorder

# Runs use the bytecode that the installation compiled; some machines forbid writing it, which would cost
# seconds at every start.
unexport PYTHONDONTWRITEBYTECODE
unexport PYTHONPATH

.PHONY: help setup run test test-all test-fast lint format up bench checksum status backup restore docs lock clean clean-all

help: ## show this help
	@echo "customer-tiering: nightly customer tiers from CRM, ERP, ticketing and e-commerce"
	@echo
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20
	@echo
	@echo "  PROFILE=$(PROFILE)   company to work on (profiles/*.yml)"
	@echo "  AS_OF=YYYY-MM-DD last fully included business day (default: the last full day)"
	@echo "  DATA=<folder>    where the files of the profile lie, if it needs that"

setup: $(READY) ## install the locked environment into .venv

$(READY): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed ($(PYTHON) was not found); say PYTHON=<path> if it has another name"; exit 1; }
	@echo "setting up .venv (once; about a minute on a fast connection) …"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep -oE '^uv==[0-9.]+' requirements.lock)"
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes --compile-bytecode requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

run: $(READY) ## run one night and print its summary (PROFILE=, AS_OF=, DATA=)
	@$(BIN)/tiering run --profile "$(PROFILE)" --as-of "$(AS_OF)" --data "$(DATA)"

test: $(READY) ## lint, fast tests, then whole nights: about twenty minutes
	@$(MAKE) --no-print-directory lint
	@$(BIN)/python -m pytest -q -m "not slow and not full" $(PARALLEL)
	@$(BIN)/python -m pytest -q -m "slow and not full" $(PARALLEL)

test-all: test ## make test, then the widest cases: another seed, most kills, whole Airflow processes, real data
	@$(BIN)/python -m pytest -q -m full $(PARALLEL)

test-fast: $(READY) ## the tests that need no whole night
	@$(BIN)/python -m pytest -q -m "not slow" $(PARALLEL)

lint: $(READY) ## ruff, mypy, import-linter, sqlfluff
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo --no-cache
	@$(BIN)/sqlfluff lint --processes 2 --disable-progress-bar dbt_project/models dbt_project/tests

format: $(READY) ## format Python and SQL
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@$(BIN)/sqlfluff fix --disable-progress-bar dbt_project/models dbt_project/tests

up: $(READY) ## start Airflow on 127.0.0.1:8080 with the nightly schedule (PROFILE=, DATA=, PORT=)
	@TIERING_DATA="$(DATA)" $(BIN)/tiering up --profile "$(PROFILE)" --port "$(PORT)"

bench: $(READY) ## what scoring costs, against one hand-written query (CUSTOMERS=, REPEATS=)
	@$(BIN)/python benchmarks/scoring.py --customers "$(CUSTOMERS)" --repeats "$(REPEATS)"

checksum: $(READY) ## one checksum per published mart (PROFILE=)
	@$(BIN)/tiering checksum --profile "$(PROFILE)"

status: $(READY) ## what is published, held, failed and waiting (PROFILE=)
	@$(BIN)/tiering status --profile "$(PROFILE)"

backup: $(READY) ## back up what cannot be computed again (PROFILE=, OUT=<file>, LANDING=1)
	@$(BIN)/tiering backup --profile "$(PROFILE)" $(if $(OUT),--out "$(OUT)") $(if $(LANDING),--with-landing)

restore: $(READY) ## put a backup in place (PROFILE=, FROM=<file>, FORCE=1)
	@$(BIN)/tiering restore "$(FROM)" --profile "$(PROFILE)" $(if $(FORCE),--force)

docs: $(READY) ## dbt's documentation of models, metrics and readers as one HTML file (PROFILE=)
	@$(BIN)/tiering docs --profile "$(PROFILE)"

lock: $(READY) ## resolve requirements.in into requirements.lock, with hashes
	@$(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --upgrade \
		requirements.in -o requirements.lock
	@$(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --upgrade \
		-c requirements.lock $$(sed -nE 's/^([A-Za-z0-9._-]+)(\[.*\])?==.*/--no-emit-package \1/p' requirements.lock) \
		requirements-celery.in -o requirements-celery.lock

clean: ## remove what runs made (var/) and caches; keeps the environment
	@rm -rf var .pytest_cache .mypy_cache .ruff_cache .hypothesis dbt_project/target dbt_project/logs
	@find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +

clean-all: clean ## remove the environment too
	@rm -rf $(VENV) plugins/*.egg-info
