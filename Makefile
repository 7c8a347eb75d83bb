# Every target does all it needs from a bare checkout: Python 3.11 or newer, git and make are enough.

PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13; do \
	$$p -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: run test check bench clean

run: $(INSTALLED)
	$(BIN)/chatsim demo

test: check
	$(BIN)/python -m pytest -q -n auto --dist loadfile

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(INSTALLED)
	$(BIN)/python -m tests.bench

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# The stamp is written last, so that an interrupted installation starts again.
$(INSTALLED): pyproject.toml
	@test -n "$(PYTHON)" || { echo "chatsim needs Python 3.11 or newer: install it, or say make PYTHON=/path/to/python" >&2; exit 3; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@
