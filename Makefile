PYTHON ?= python3
BIN := .venv/bin
UV = $(or $(shell command -v uv),$(BIN)/uv)
PIP := $(BIN)/python -m pip --disable-pip-version-check
TORCH = $(shell grep '^torch==' constraints.txt)
ALL := --constraint constraints.txt --editable '.[minilm]' --group dev

.DEFAULT_GOAL := help
.PHONY: help setup table test families check

help: ## List what make can do
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "All but help set up .venv first, once; PYTHON=python3.12 chooses its Python (3.11 or newer)."

setup: .venv/.ready ## Make .venv with the tested versions and this checkout in it

table: .venv/.ready ## Train the cells of sweeps/first_table.yaml that are missing, print the table, draw the plots
	@status=0; \
	$(BIN)/ptbench run sweeps=first_table || status=$$?; \
	$(BIN)/ptbench table first_table || status=$$?; \
	$(BIN)/ptbench plot first_table || status=$$?; \
	exit $$status

test: .venv/.ready ## Run the tests (no network, no GPU)
	@$(BIN)/python -m pytest -q -n 2

families: .venv/.ready ## Test every method on every family, put the table of it into README.md
	@$(BIN)/python benchmarks/families_table.py

check: .venv/.ready ## Check format, lint and types
	@status=0; \
	$(BIN)/ruff format --check --quiet || status=1; \
	$(BIN)/ruff check --quiet || status=1; \
	$(BIN)/pyright || status=1; \
	exit $$status

# uv knows which build of torch the machine needs. Where it fails (say, torch's own index is out of
# reach) pip, which heeds pip's configuration, takes what it finds.
.venv/.ready: pyproject.toml constraints.txt
	@rm -f $@
	@echo "setting up .venv (minutes when new) ..."
	@test -x $(BIN)/python || { \
	  $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "PYTHON=$(PYTHON) is not Python 3.11 or newer; try make PYTHON=python3.12" >&2; exit 1; }; \
	  uv venv -q --seed --python "$(PYTHON)" .venv 2>/dev/null || $(PYTHON) -m venv .venv \
	    || { rm -rf .venv; exit 1; }; }
	@$(PIP) install -qq --upgrade 'pip>=25.1' $(if $(shell command -v uv),,uv)
	@export VIRTUAL_ENV=.venv UV_HTTP_RETRIES=1; \
	{ $(UV) pip install -q --torch-backend auto '$(TORCH)' 2>.venv/uv.log \
	  || $(PIP) install -qq '$(TORCH)'; } && \
	{ $(UV) pip install -q $(ALL) 2>>.venv/uv.log || $(PIP) install -qq $(ALL); }
	@touch $@
