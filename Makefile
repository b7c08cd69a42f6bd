# Each target makes the virtual environment it needs; python3 >= 3.11 and pip are all that is asked.
PYTHON ?= python3
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
# Two processes of one thread each; a file's tests stay in one, so that what they share is made once.
TESTS = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help demo quick test lint bench docs clean

help:           ## say what there is
	@grep -E '^[a-z]+: .*##|^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "fexp-store needs Python 3.11 or newer; give one: make PYTHON=python3.12 demo" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.demo: $(VENV)/.made pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[demo]'
	@touch $@

$(VENV)/.dev: $(VENV)/.made pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(VENV)/.demo  ## render faces, run three networks, find expression-selective units
	$(BIN)/fexp -w warehouse demo
	@echo "fexp is in $(VENV)/bin; to have it on your path: . $(VENV)/bin/activate" >&2

quick: lint     ## lint, types and the fast tests: the loop
	$(TESTS) -m "not slow"

test: lint      ## lint, types, all tests and docs
	$(TESTS)
	$(MAKE) docs

lint: $(VENV)/.dev  ## style of Python and SQL, types, one-way imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/sqlfluff lint --disable-progress-bar schemas
	$(BIN)/mypy -p fexp_store -p benchmarks
	$(BIN)/lint-imports

docs: $(VENV)/.dev  ## build the documentation strictly
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

bench: $(VENV)/.dev  ## measure against the floors (docs/benchmarks.md)
	$(BIN)/python -m benchmarks

clean:          ## remove what was made here, but never a warehouse
	rm -rf $(VENV) build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache
