# Needs only Python >= 3.11 with venv and pip, and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8000
COMPILE := uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 pyproject.toml

.PHONY: environment demo test bench check locks

environment: $(VENV)/.ready

$(VENV)/.ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

demo: environment
	@PORT=$(PORT) $(BIN)/reservation demo $(if $(FRESH),--fresh)

test: $(VENV)/.ready-dev
	$(BIN)/pytest $(ARGS)

bench: environment
	$(BIN)/python -m tests.benchmarks $(ARGS)

check: $(VENV)/.ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.house.words

# Only for whoever changes a dependency; needs uv.
locks:
	UV_CUSTOM_COMPILE_COMMAND="make locks" $(COMPILE) --group build --output-file requirements.lock
	UV_CUSTOM_COMPILE_COMMAND="make locks" $(COMPILE) --group build --group dev --constraint requirements.lock --output-file requirements-dev.lock
