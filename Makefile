# Everything runs in one virtual environment, made on first use; VENV=DIR puts it elsewhere.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
TESTED := $(VENV)/installed-test

.PHONY: demo test check mutants

demo: $(INSTALLED)
	$(BIN)/saddlepoint train r1

test: check
	$(BIN)/pytest --numprocesses auto --dist worksteal

check: $(TESTED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

mutants: $(TESTED)
	$(BIN)/python -m tests.mutants

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(INSTALLED): $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(TESTED): $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@ $(INSTALLED)
