# make demo   the whole road on handwritten digits, outputs in build/demo
# make test   lint, types and tests
# Both make the environment in .venv first. Nothing outside this folder is written.

ifneq ($(words $(CURDIR)),1)
$(error make cannot build in a folder with a space in its path: $(CURDIR); choose another one)
endif

PYTHON ?= python3
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
READY := $(VENV)/.ready
CACHE := $(CURDIR)/build/cache

export PIP_CACHE_DIR := $(CACHE)/pip
export XDG_CACHE_HOME := $(CACHE)
export MPLCONFIGDIR := $(CACHE)/matplotlib
export NUMBA_CACHE_DIR := $(CACHE)/numba
export YOWASP_CACHE_DIR := $(CACHE)/yowasp

.PHONY: demo test lint types clean

demo: export TMPDIR := $(CURDIR)/build/tmp
demo: $(READY)
	@mkdir -p $(TMPDIR)
	@$(BIN)/xnorflow demo

test: lint types
	$(BIN)/python -m pytest -n 2

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(READY)
	$(BIN)/python scripts/typing_links.py
	$(BIN)/mypy .typing/xnorflow

$(READY): pyproject.toml constraints.txt scripts/environment.py
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing: apt-get install python3 python3-venv" >&2; exit 1; }
	@mkdir -p $(CURDIR)/build/tmp
	@TMPDIR=$(CURDIR)/build/tmp $(PYTHON) scripts/environment.py $(VENV) all,fpga,dev
	@touch $@

clean:
	rm -rf build .typing .mypy_cache .ruff_cache .pytest_cache .hypothesis
