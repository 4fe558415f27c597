# make run    benchmark the classic networks; needs Python >= 3.11 and make, nothing else
# make test   every test           make check  what CI runs, without installing anything twice
#
# Everything lands in .venv. A stamp file per extra keeps a second `make` from installing again.

SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip --disable-pip-version-check install -qq -c constraints.txt
MANIFEST := pyproject.toml setup.py constraints.txt
HOUSE := build/house
# No test asserts a time of its own, so they may run beside one another.
JOBS ?= -n logical --maxprocesses 4

.DEFAULT_GOAL := help
.PHONY: help run test test-core lint docs check clean

help:
	@echo 'make run        set up, benchmark the classic networks, print the table'
	@echo 'make test       set up, run every test'
	@echo 'make test-core  every test that needs no torch'
	@echo 'make lint       ruff, mypy --strict, import-linter'
	@echo 'make docs       build the manual into docs/_build'
	@echo 'make check      lint, docs and test: what CI does after make run'
	@echo 'make clean      remove .venv and everything that was built'

run: $(VENV)/.cpu
	$(BIN)/onnxbench run --suite classics --quick

test: $(VENV)/.dev
	$(BIN)/python -m pytest $(JOBS)

# Tests that need torch say that they are skipped, unless `make test` has brought it.
test-core: $(VENV)/.dev-core
	$(BIN)/python -m pytest $(JOBS)

lint: $(VENV)/.dev-core
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@# import-linter reads folders, not setuptools' map: give it the layout as installed.
	@rm -rf $(HOUSE) && mkdir -p $(HOUSE) && cp -r onnxbench $(HOUSE) \
	    && cp -r exporters runtimes $(HOUSE)/onnxbench
	cd $(HOUSE) && $(CURDIR)/$(BIN)/lint-imports --no-cache --no-logo --config $(CURDIR)/pyproject.toml

docs: $(VENV)/.docs
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

check: lint docs test

clean:
	rm -rf $(VENV) build dist docs/_build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/.created:
	@for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	    if "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
	        2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	    echo 'onnxbench needs Python 3.11 or newer with venv (Debian: apt install python3 python3-venv).' >&2; \
	    echo 'If it is installed under another name: make PYTHON=/path/to/python3' >&2; exit 1; \
	fi; \
	"$$found" -m venv --clear $(VENV)
	@touch $@

$(VENV)/.cpu: $(VENV)/.created $(MANIFEST)
	@echo 'Setting up $(VENV) (once, about 30 s) ...'
	$(INSTALL) -e '.[cpu]'
	@touch $@

$(VENV)/.dev-core: $(VENV)/.created $(MANIFEST)
	$(INSTALL) -e '.[dev-core]'
	@touch $(VENV)/.cpu $@

$(VENV)/.dev: $(VENV)/.created $(MANIFEST)
	@echo 'Setting up $(VENV) with torch (once, about a minute and 1.4 GB) ...'
	$(INSTALL) -e '.[dev]'
	@# Only its 20 photographs are wanted, which a test of real weights names.
	$(INSTALL) --no-deps foolbox==3.3.4
	@touch $(VENV)/.cpu $(VENV)/.dev-core $@

$(VENV)/.docs: $(VENV)/.created $(MANIFEST)
	$(INSTALL) -e '.[dev-core,docs]'
	@touch $(VENV)/.cpu $(VENV)/.dev-core $@
