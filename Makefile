# The two commands: `make repro` and `make test`. Both set up .venv first, once per change of its inputs.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
export PATH := $(CURDIR)/$(BIN):$(PATH)
export OMP_NUM_THREADS ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)

.PHONY: repro test check env readme
repro: $(READY)
	dvc repro

test: $(READY)
	python -m pytest -q

readme: $(READY)
	python -m stages.readme --results metrics/results.md --readme README.md

check: $(READY)
	ruff check .
	ruff format --check .
	mypy

env: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "supertiny needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv
	python -m pip install --quiet --upgrade pip
	python -m pip install --quiet -r constraints.txt
	python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $(READY)
