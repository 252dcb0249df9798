# The two commands of the README: make demo, make test. Each sets itself up, once.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
AUDIT := .venv-audit
READY := $(VENV)/.ready
CODE := app.py chalicelib tests tools

# Nothing here may ever dial a real AWS: fake credentials, no instance metadata.
export AWS_EC2_METADATA_DISABLED := true

.PHONY: help demo test lab routers tools lint check check-fast format bench simulate mutants package deploy undeploy audit sbom lock clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(READY): requirements.txt requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
		|| { echo "Mooring needs Python 3.11, 3.12 or 3.13 as $(PYTHON); name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -qq -y python3-venv; } \
		|| { echo "Mooring needs Python's venv module: apt-get install python3-venv" >&2; exit 1; }
	@echo "setting up $(VENV) (once) ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@# the lock is whole; left to resolve, a pip of 2023 looks at coverage[toml] beyond the pin of coverage, and has no hash
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY)  ## the story of one router's life, on an embedded AWS
	@$(BIN)/python -m tools.demo

test: $(READY) tools  ## every test
	@$(BIN)/pytest

lab: $(READY) tools  ## the tests with real packets alone, in network namespaces
	@$(BIN)/pytest tests/packets -n0 -rs

routers: $(READY) tools  ## the tests on routers with a real operating system alone; as root
	@$(BIN)/pytest tests/router_os -rs

# What the lab and the routers take beside Python. Without it, or without the right to have it, those tests are skipped and
# say why.
tools: $(READY)
	@missing=$$({ $(BIN)/python -m tests.packets missing; $(BIN)/python -m tests.router_os.root missing; } | sort -u | paste -sd' ' || true); \
		[ -z "$$missing" ] || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq \
		&& DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$missing >/dev/null; } \
		|| echo "tests with real packets or a real operating system are skipped, for want of: $$missing"

lint: $(READY)  ## format, lint, types, import rules
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/cfn-lint examples/*.yaml

check: lint  ## lint, and every test with coverage
	$(BIN)/pytest --cov

check-fast: $(READY)  ## in a minute: core, controller, CLI and import rules; no namespaces, no nspawn, no package
	@$(BIN)/lint-imports
	@$(BIN)/pytest -n $$(nproc) tests/controller tests/cli tests/core

format: $(READY)  ## format and mend what the linter can
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

bench: $(READY)  ## failovers on Lambda's share of a processor, beside two loops; writes; memory; cold starts; a fleet; a month's cost
	@$(BIN)/python -m tests.bench

N ?= 100000
simulate: $(READY)  ## play N schedules of trouble (make simulate N=1000000) against the controller, on every core
	@$(BIN)/python -m tests.simulator $(N)

mutants: $(READY)  ## plant known bugs one at a time; every one must turn the tests red
	@$(BIN)/python -m tests.mutants

package: $(READY)  ## build/deployment.zip and build/sam.yaml, the same bytes each time
	@$(BIN)/python -m tools.package

# These two speak to the AWS that your CLI is set up for, after showing what they do and asking. Optional: YES=1 agrees
# beforehand, ARTIFACT_BUCKET=name, SET="AlarmEmail=ops@example.com WatchApiCalls=yes" (see .chalice/resources.yaml).
deploy undeploy: AWS_EC2_METADATA_DISABLED := false
deploy: package  ## make or update the stack mooring-STAGE: make deploy STAGE=prod
	@$(BIN)/python -m tools.deploy deploy --stage "$(STAGE)" --artifact-bucket "$(ARTIFACT_BUCKET)" \
		--set "$(SET)" $(if $(YES),--yes)

undeploy: $(READY)  ## remove the stack mooring-STAGE, and say what is left
	@$(BIN)/python -m tools.deploy undeploy --stage "$(STAGE)" --artifact-bucket "$(ARTIFACT_BUCKET)" \
		$(if $(YES),--yes)

# Checkov pins its own boto3 and takes 300 MB: it gets a place of its own. Every skip has its reason in resources.yaml.
$(AUDIT)/.ready: requirements-audit.txt
	@echo "setting up $(AUDIT) (once) ..."
	@$(PYTHON) -m venv --clear $(AUDIT)
	@$(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-audit.txt
	@touch $@

audit: package $(AUDIT)/.ready  ## cfn-lint and checkov over the package's template, in SAM's words and in CloudFormation's
	@$(BIN)/python -m tests.package.template build
	$(BIN)/cfn-lint build/sam.yaml build/cloudformation.json
	$(AUDIT)/bin/checkov --framework cloudformation --compact --quiet --skip-download \
		--file build/sam.yaml build/cloudformation.json

sbom: $(READY)  ## build/sbom.json: what the package is made of, in CycloneDX; Chalice puts its runtime in by itself
	@mkdir -p build
	@{ cat requirements.txt; sed -n 's/^\(chalice==[0-9.]*\).*/\1/p' requirements-dev.txt; } \
		| $(BIN)/uvx --quiet --from cyclonedx-bom==7.5.0 cyclonedx-py requirements --output-reproducible --output-file build/sbom.json -

lock: $(READY)  ## pin pyproject.toml's requirements anew
	$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --extra dev pyproject.toml -o requirements-dev.txt
	$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --group audit -o requirements-audit.txt

clean:  ## remove what the other targets made
	rm -rf $(VENV) $(AUDIT) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage build *.egg-info
