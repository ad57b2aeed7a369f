# Everything a fresh machine needs: Python 3.11 or later. `make demo` restores the bundled reel,
# `make test` runs the checks and the tests. Both make .venv and install into it on first use.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test check clean help

help:  ## Show this
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: $(VENV)/all  ## Restore the bundled reel with star-tiny, about 3 minutes on two cores; shows where the results are
	@RESTAR_HOME="$${RESTAR_HOME:-$(CURDIR)/demo/home}" $(BIN)/restar restore samples/reel.mkv --recipe star-tiny --force -o demo
	@echo
	@echo "Master:       demo/reel.star-tiny.mkv  (lossless FFV1, verified frame by frame)"
	@echo "Access copy:  demo/reel.star-tiny.access.mp4"
	@echo "Report:       file://$(CURDIR)/demo/reel.star-tiny.report.html   <- open this in a browser"
	@echo "Review room:  RESTAR_HOME=demo/home $(BIN)/restar review"

test: $(VENV)/all check  ## Run the checks and all tests
	$(BIN)/python -m pytest

check: $(VENV)/all  ## Run ruff, mypy and the import floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:  ## Remove the environment and the demo's results
	rm -rf $(VENV) demo

$(VENV)/python:
	@echo "Making $(VENV) ..."
	@$(PYTHON) -c 'import sys; sys.exit("restar needs Python 3.11 or later") if sys.version_info < (3, 11) else None'
	@$(PYTHON) -m venv $(VENV)
	@touch $@

# The lock files are complete: nothing is resolved here, so nothing can come out otherwise. The egg-info
# that a build leaves here would hide the plug-ins of a later install from Python started in this folder.
$(VENV)/base: requirements/base.txt pyproject.toml | $(VENV)/python
	@echo "Installing restar (about 2 minutes the first time) ..."
	@$(PIP) install --no-deps -r requirements/base.txt
	@$(PIP) install --no-deps -e .
	@rm -rf restar.egg-info
	@touch $@

$(VENV)/all: requirements/all.txt pyproject.toml | $(VENV)/python
	@echo "Installing restar with everything for its tests (about 4 minutes, 6 GB) ..."
	@$(PIP) install --no-deps -r requirements/all.txt
	@$(PIP) install --no-deps -e .
	@rm -rf restar.egg-info
	@touch $@ $(VENV)/base
