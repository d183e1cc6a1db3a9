# hwsim: everything a newcomer needs is `make demo` and `make test`; Python, pip and make suffice.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint bench reference check clean

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable '.[test]'
	touch $@

$(VENV)/.dev: $(VENV)/.installed
	$(BIN)/pip install --quiet --editable '.[all]'
	touch $@

demo: $(VENV)/.installed
	$(BIN)/hwsim run scenarios/quickstart.yaml

test: $(VENV)/.installed
	$(BIN)/pytest

lint: $(VENV)/.dev
	$(BIN)/ruff check hwsim tests
	$(BIN)/ruff format --check hwsim tests
	$(BIN)/pyright
	$(BIN)/lint-imports

bench: $(VENV)/.installed
	$(BIN)/pytest tests/bench -s --benchmark-only --benchmark-columns=min,median,max,rounds -p no:cacheprovider

reference: $(VENV)/.installed
	$(BIN)/python -m hwsim.cli.reference docs/reference

check: lint test

clean:
	rm -rf $(VENV) runs .pytest_cache .ruff_cache .hypothesis
