# The two commands: `make repro` and `make test`. Both set up .venv first, once per change of its inputs.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
# for the stages' own commands; make 3.81 does not look here for its recipes' programs
export PATH := $(CURDIR)/$(BIN):$(PATH)
export OMP_NUM_THREADS ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)

.PHONY: repro test check env readme
repro: $(READY)
	$(BIN)/dvc repro
	$(BIN)/supertiny page

test: export OMP_NUM_THREADS := 1
test: $(READY)
	$(BIN)/python -m pytest -q -n auto --dist loadfile --no-loadscope-reorder

readme: $(READY)
	$(BIN)/python -m stages.readme --results metrics/results.md --readme README.md

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

env: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "supertiny needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -r constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,quantize]'
	touch $(READY)
