# Carnet: the small verbs. `make help` prints this file's own comments.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# One more than the processors of the machine that this runs on most: tests wait too.
WORKERS ?= 3
KILLS ?= 20000
ROWS ?= $(addprefix tests/web/test_,api.py api_claims.py api_readings.py api_webhooks.py console.py kept.py organisation.py \
	webhooks.py)
TESTS ?=
ONLY ?=

# The first Python on the path that is new enough; choose another with `make setup PYTHON=/path/to/python3.12`.
IS_NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(firstword $(foreach candidate,python3 python3.14 python3.13 python3.12 python3.11,\
	$(shell $(candidate) -c '$(IS_NEW_ENOUGH)' 2>/dev/null && echo $(candidate))) python3)

.DEFAULT_GOAL := help
.PHONY: help setup kernel demo test rows torture lint format bench vectors page screenshots wheel sbom audit lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

setup: $(STAMP) ## make .venv, with the carnet command in it, from the locked packages
	@:

$(STAMP): requirements.lock pyproject.toml hatch_build.py src/carnet/__init__.py src/carnet/_kernel.pyi $(wildcard src/kernel/*)
	@python="$(PYTHON)"; \
	command -v "$$python" >/dev/null || { echo "carnet needs Python 3.11 or newer, and there is no $$python here" >&2; exit 1; }; \
	"$$python" -c '$(IS_NEW_ENOUGH)' || { \
		echo "carnet needs Python 3.11 or newer; $$python is $$("$$python" --version 2>&1)." >&2; \
		echo "Name a newer one: make setup PYTHON=/path/to/python3.12" >&2; exit 1; }; \
	$(BIN)/python -m pip --version >/dev/null 2>&1 || "$$python" -m venv --clear $(VENV) || { \
		echo "Python could not make a virtual environment (on Debian: apt-get install python3-venv)" >&2; exit 1; }
	@echo "Installing the locked packages into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python hatch_build.py --tell
	@touch $@

kernel: setup ## compile src/kernel again; needs a C compiler and the headers of Python
	@$(BIN)/python hatch_build.py

demo: setup ## show the main job: a fleet, one passport, a proof checked elsewhere, a forgery refused; then serve it
	@$(BIN)/carnet demo

test: setup ## run lint and every test; ends with what was left out and the runner's summary (TESTS="tests/tlog -k root")
	@missing=; for tool in ruff mypy lint-imports deptry; do [ -x $(BIN)/$$tool ] || missing="$$missing $$tool"; done; \
	if [ -z "$$missing" ]; then $(MAKE) --no-print-directory lint || exit 1; \
	else export CARNET_LEFT_OUT="lint: not installed in $(VENV):$$missing"; fi; \
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -q $(TESTS)

rows: setup ## run the tests of ROWS with the program's own filter off: PostgreSQL alone keeps members apart
	@CARNET_TEST_FILTER=off CARNET_NO_SKIP= $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -q $(ROWS)

torture: setup ## kill, fail and cut the power twenty times as often as `make test` does; an hour or so (KILLS=20000)
	@CARNET_KILLS=$(KILLS) $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -q -s tests/faults

lint: setup ## check style, format, types, the directions of import, and that what is imported is asked for
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { echo "make format would change these files:"; $(BIN)/ruff format --check . ; exit 1; }
	@$(BIN)/mypy --no-error-summary
	@report=$$($(BIN)/lint-imports --no-logo) || { echo "$$report"; exit 1; }
	@report=$$($(BIN)/deptry src 2>&1) || { echo "$$report"; exit 1; }
	@echo "lint: style, format, types, imports and dependencies are clean"

format: setup ## put the code into the one format
	@$(BIN)/ruff check --quiet --select I --fix .
	@$(BIN)/ruff format --quiet .

bench: setup ## measure and print the table of speeds (QUICK=1: two minutes; ONLY="importing proofs")
	@$(BIN)/python -m bench $(ONLY)

vectors: setup ## write docs/spec/vectors again, from fixed seeds
	@$(BIN)/python -m tests.vectors
	@$(BIN)/python -m tests.bytes_vectors

page: setup ## write src/carnet/web/verify.html again, from its parts and verify.mjs
	@$(BIN)/python -m carnet.web.verify_page

screenshots: setup ## write pictures of every page to build/screenshots; needs Chromium
	@$(BIN)/python -m tests.web.screenshots build/screenshots

wheel: setup ## build dist/carnet-….whl; the same commit gives the same bytes
	@$(BIN)/python .ci/wheel.py dist

sbom: setup ## write dist/carnet.cdx.json (CycloneDX, from the lock) and docs/licences.md; no network
	@mkdir -p dist
	@$(BIN)/python .ci/licences.py > dist/.licences && mv dist/.licences docs/licences.md
	@$(BIN)/python .ci/sbom.py > dist/.sbom && mv dist/.sbom dist/carnet.cdx.json
	@echo "dist/carnet.cdx.json and docs/licences.md say what is in it"

audit: setup ## ask a vulnerability database about the lock; "NOT CHECKED" (a failure) if none can be reached
	@$(BIN)/python .ci/audit.py

lock: setup ## write requirements.lock again, with the newest packages that pyproject.toml allows
	@$(BIN)/uv pip compile pyproject.toml --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
		--all-extras --group dev --no-emit-index-url --no-emit-find-links \
		--custom-compile-command "make lock" -o requirements.lock

clean: ## remove .venv and everything that tools have made
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache src/carnet/_kernel.abi3.so*
	@find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
