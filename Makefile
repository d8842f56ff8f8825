# Everything runs in .venv, which any target makes when it is missing or out of date: `make demo` installs what the demo
# needs, every other target the rest. With uv on the machine it is used; otherwise Python's own venv and pip.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := $(VENV)/.demo
STAMP := $(VENV)/.installed
RUNS := examples/python-stdlib/runs.csv
PIP := $(BIN)/pip install --quiet --disable-pip-version-check
MUTATED ?= 300
INPUTS ?= 10000

.DEFAULT_GOAL := help
.PHONY: help demo test check examples docs browser pictures bench bench-long mutation fuzz clean

help: ## Print the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

$(BIN)/python:
	@if command -v uv >/dev/null 2>&1; then uv venv --seed --quiet --python $(PYTHON) $(VENV); else $(PYTHON) -m venv $(VENV); fi

# Without compiling what is installed: the first run compiles what it imports, and nothing else.
$(DEMO): examples/demo-requirements.txt pyproject.toml | $(BIN)/python
	@$(PIP) --no-compile -r examples/demo-requirements.txt
	@$(PIP) --no-deps -e .
	@touch $@

$(STAMP): pyproject.toml | $(BIN)/python
	@$(PIP) -e '.[dev]'
	@touch $@ $(DEMO)

demo: $(DEMO) ## Fit 43 real runs with the largest held out; forecast beside measurement; a page in demo/
	@mkdir -p demo
	$(BIN)/rung fit $(RUNS) --last --drop-tokens 2e5 --hold-out "params > 6e5" -o demo/fit.json -o demo/page.html --figure demo/fit.png
	@echo
	$(BIN)/rung forecast demo/fit.json N=2M D=40M
	@echo
	@echo "Look at demo/page.html"

test: $(STAMP) ## The whole: format, lint, types, all tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: $(STAMP) ## The fast part of it: format, lint, types, tests without the slow ones
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

examples: $(STAMP) ## Run every command of README and docs and write what it prints beside it; PAGES="papers warnings" for some
	$(BIN)/python tests/documents.py --write $(PAGES)

docs: $(STAMP) ## Build the documentation in site/; any warning is an error
	$(BIN)/sphinx-build -W --keep-going -q -b html docs site
	@echo "Look at site/index.html"

browser: ## Install Debian's Chromium, which the browser tests drive; they are skipped where there is none
	command -v chromium >/dev/null || (apt-get update -qq && apt-get install -y -qq chromium)

pictures: $(STAMP) ## Screenshots of app, report and documentation, and every kind of figure, in pictures/
	$(BIN)/python tests/pictures.py

bench: $(STAMP) ## Measure against peers, in one run on this machine
	$(BIN)/python benchmarks/engine.py
	$(BIN)/python benchmarks/commands.py
	$(BIN)/python benchmarks/large.py
	$(BIN)/python benchmarks/decisions.py
	$(BIN)/python benchmarks/app.py
	$(BIN)/python benchmarks/merging.py
	$(BIN)/python benchmarks/measuring.py
	$(BIN)/python benchmarks/ladder.py
	$(BIN)/python benchmarks/ladder_ends.py

bench-long: $(STAMP) ## Measure coverage, warnings, published studies and real pools: hours
	$(BIN)/python benchmarks/coverage.py --repeats 500
	$(BIN)/python benchmarks/effects.py
	$(BIN)/python benchmarks/pruning.py
	$(BIN)/python benchmarks/distillation.py
	$(BIN)/python benchmarks/diagnosis.py
	$(BIN)/python benchmarks/together.py
	$(BIN)/python benchmarks/starts.py
	$(BIN)/python benchmarks/truth.py
	$(BIN)/python benchmarks/truth.py --far
	$(BIN)/python benchmarks/law_errors.py
	$(BIN)/python benchmarks/origins.py
	$(BIN)/python benchmarks/comparisons.py
	$(BIN)/python benchmarks/few.py --seeds 4
	$(BIN)/python benchmarks/pools.py
	$(BIN)/python benchmarks/task_scaling.py
	$(BIN)/python benchmarks/pass_rates.py
	$(BIN)/python benchmarks/verdicts.py
	$(BIN)/python benchmarks/real_or_not.py
	$(BIN)/python benchmarks/lineage.py

mutation: $(STAMP) ## Break the core on purpose, MUTATED times at random, and count what the fast tests notice
	$(BIN)/python tests/mutation.py --sample $(MUTATED)

fuzz: $(STAMP) ## Try INPUTS odd and damaged inputs of all kinds, and half as many requests to the app
	$(BIN)/python tests/fuzz.py --inputs $(INPUTS)
	cd tests && ../$(BIN)/python fuzz_requests.py --requests $$(($(INPUTS) / 2))

clean: ## Remove what the targets made
	rm -rf $(VENV) demo site pictures .pytest_cache .mypy_cache .ruff_cache .hypothesis
