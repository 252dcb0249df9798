# The two commands of the README: make demo, make test. Each sets itself up, once.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CODE := chalicelib tests

# Nothing here may ever dial a real AWS: fake credentials, no instance metadata.
export AWS_EC2_METADATA_DISABLED := true

.PHONY: help demo test check format bench mutants lock clean

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(READY): requirements.txt requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
		|| { echo "Mooring needs Python 3.11, 3.12 or 3.13 as $(PYTHON); name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -qq -y python3-venv; } \
		|| { echo "Mooring needs Python's venv module: apt-get install python3-venv" >&2; exit 1; }
	@echo "setting up $(VENV) (once) ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY)  ## the story of one router's life, on an embedded AWS
	@$(BIN)/mooring demo

test: $(READY)  ## every test
	@$(BIN)/pytest

check: $(READY)  ## format, lint, types, import rules, tests with coverage
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/cfn-lint examples/*.yaml .chalice/*.yaml
	$(BIN)/pytest --cov

format: $(READY)  ## format and mend what the linter can
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

bench: $(READY)  ## count calls and rounds, and time them against a sequential loop
	@$(BIN)/python -m tests.bench

mutants: $(READY)  ## plant known bugs one at a time; every one must turn the tests red
	@$(BIN)/python -m tests.mutants

lock: $(READY)  ## pin pyproject.toml's requirements anew
	$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --extra dev pyproject.toml -o requirements-dev.txt

clean:  ## remove what the other targets made
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage build *.egg-info
