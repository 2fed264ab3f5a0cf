# Digital Councils. `make` lists what can be done; each target sets up what it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DC := $(BIN)/digital-councils
RELEASES ?= build/releases

.DEFAULT_GOAL := help
.PHONY: help demo hub test refresh check lint fuzz audit bench lock clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.run  ## crawl the fictional councils over loopback and publish their directory
	@$(DC) demo --out build/demo

test: $(VENV)/.dev  ## run the tests
	@$(BIN)/pytest

hub: build/demo/release  ## build the hub of the demo's release and serve it on this machine
	@$(DC) hub build/demo/release --out build/demo/site
	@echo "http://127.0.0.1:8000/ until Ctrl-C"
	@$(BIN)/python -m http.server --bind 127.0.0.1 -d build/demo/site 8000

build/demo/release:
	@$(MAKE) --no-print-directory demo

refresh: $(VENV)/.run  ## crawl the councils' websites and publish the directory
	@$(DC) refresh

lint: $(VENV)/.dev  ## style and types
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

check: lint build/demo/release  ## lint, licences, advisories, and the gates on the demo's release
	@$(BIN)/pytest -q tests/unit/test_licences.py
	@$(BIN)/python -m tests.audit
	@$(DC) check build/demo/release

fuzz: $(VENV)/.dev  ## look longer for input that breaks a reader
	@$(BIN)/pytest --hypothesis-profile=fuzz tests/property tests/crawl/test_robots.py tests/crawl/test_extract.py
	@FAULT_SEEDS=10 $(BIN)/pytest tests/crawl/test_faults.py -k four_hundred

audit: $(VENV)/.dev  ## ask for known advisories on what is locked, and fail without an answer
	@$(BIN)/python -m tests.audit --strict

bench: $(VENV)/.bench  ## measure speed as ratios, beside the peers
	@$(BIN)/python -m tests.bench

lock: $(VENV)/.dev  ## write the lock files again, hashed and without addresses
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
		--no-emit-index-url --no-emit-find-links --extra build pyproject.toml -o requirements.txt
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
		--no-emit-index-url --no-emit-find-links --extra build --extra dev -c requirements.txt \
		pyproject.toml -o requirements-dev.txt
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
		--no-emit-index-url --no-emit-find-links --extra bench -c requirements-dev.txt \
		pyproject.toml -o requirements-bench.txt

clean:  ## remove the environment and everything built
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/.run: requirements.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	@echo "Installing what the crawler needs into $(VENV) …"
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements.txt
	@$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.txt
	@echo "Installing what the tests need into $(VENV) …"
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

$(VENV)/.bench: $(VENV)/.dev requirements-bench.txt
	@echo "Installing the peers to measure beside into $(VENV) …"
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements-bench.txt
	@touch $@
