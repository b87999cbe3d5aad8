# Two commands for a fresh Debian or Ubuntu machine: `make demo` and `make test`. `make help` lists the rest.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: help demo test lint unit lab-down schema lock clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile

$(VENV)/.installed: requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

demo: $(VENV)/.installed ## make four lab hosts of all three roles and bootstrap them (without root: simulated hosts)
	@PYTHON=$(BIN)/python ./demo.sh

test: lint unit ## every check and test; the lab tests run where there is root

lint: $(VENV)/.installed ## formatter, linters, types, generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m plugins.inventory.export --check

unit: $(VENV)/.installed ## the tests
	$(BIN)/python -m pytest $(PYTEST)

lab-down: $(VENV)/.installed ## stop the lab's hosts and leave nothing behind
	$(BIN)/python -m runbooks.lab down

schema: $(VENV)/.installed ## write inventory/schema.json anew
	$(BIN)/python -m plugins.inventory.export

lock: ## write requirements.lock anew (needs uv)
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
		--no-annotate --custom-compile-command "make lock" --quiet --output-file requirements.lock

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
