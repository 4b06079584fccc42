export DAGSTER_HOME = $(CURDIR)/dagster_home
BIN = .venv/bin

install:
	python3 -m venv .venv
	$(BIN)/pip install --quiet --editable '.[dev]'

check:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/dg check defs
	$(BIN)/pytest

dev:
	$(BIN)/dg dev

.PHONY: install check dev
