# The two commands: `make repro` and `make test`. Both set up .venv first, once per change of its inputs.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
# for the stages' own commands; make 3.81 does not look here for its recipes' programs
export PATH := $(CURDIR)/$(BIN):$(PATH)
export OMP_NUM_THREADS ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)
PYTEST := $(BIN)/python -m pytest -q -n auto --dist loadgroup --no-loadscope-reorder

.PHONY: repro status test test-all check env readme
repro: $(READY)
	$(BIN)/dvc repro
	$(BIN)/supertiny page

# what would run: `resolve` first, in seconds and without data, since all others hang on what it writes
status: $(READY)
	$(BIN)/dvc repro resolve
	$(BIN)/dvc status

# without other engines' programs (marker engine) and without the whole real graph (marker graph)
test test-all: export OMP_NUM_THREADS := 1
test: $(READY)
	$(PYTEST) -m "not engine and not graph"

test-all: $(READY)
	$(PYTEST)

readme: $(READY)
	$(BIN)/supertiny page --readme README.md

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
