# Every target creates the venv that it needs. The only requirement is Python 3.11 or newer.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
GENERATED := README.md docs/api.md docs/commands.md docs/settings.md docs/reports.md docs/errors.md

.PHONY: help demo test conformance coverage test-integrations lint bench soak soak-activity soak-kills soak-lies soak-api faults destinations docs picture pictures walk styles clean

help:
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

# The dependencies of the program (runs) and of development (ready).
$(VENV)/runs: EXTRA := [serve]
$(VENV)/ready: EXTRA := [dev]
$(VENV)/runs $(VENV)/ready: pyproject.toml constraints.txt
	@if command -v uv >/dev/null 2>&1; then \
		uv venv -q --allow-existing --python $(PYTHON) $(VENV) && uv pip install -q --python $(BIN)/python -c constraints.txt -e '.$(EXTRA)'; \
	else \
		$(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.$(EXTRA)'; \
	fi
	@touch $@ $(VENV)/runs

# Engines of the integrations, in separate venvs. Airflow requires other versions than constraints.txt.
TESTING := hypothesis pytest pytest-randomly pytest-timeout
.venv-integrations/ready: EXTRA := [dagster,delta,dlt,spark]
.venv-integrations/ready: PINS := -c constraints.txt
.venv-airflow/ready: EXTRA := [airflow]
.venv-integrations/ready .venv-airflow/ready: pyproject.toml constraints.txt
	@if command -v uv >/dev/null 2>&1; then \
		uv venv -q --allow-existing --python $(PYTHON) $(@D) && uv pip install -q --python $(@D)/bin/python $(PINS) -e '.$(EXTRA)' $(TESTING); \
	else \
		$(PYTHON) -m venv $(@D) && $(@D)/bin/python -m pip install -q --disable-pip-version-check $(PINS) -e '.$(EXTRA)' $(TESTING); \
	fi
	@touch $@

demo: $(VENV)/runs ## Start the UI on a simulated Stripe; with ONCE=1, load every report into demo.duckdb instead
	@$(BIN)/counterfoil demo $(if $(ONCE),--once)

test: $(VENV)/ready ## Run the tests, except those marked thorough
	$(BIN)/python -m pytest -n 3 --dist loadscope --durations=20 --durations-min=1

conformance: $(VENV)/ready ## Run all tests: every report, every destination
	TESTS=all $(BIN)/python -m pytest -n 3 --dist loadscope --durations=20 --durations-min=1

coverage: $(VENV)/ready ## Run the tests with coverage; takes 1.5 times as long
	$(BIN)/python -m pytest -n 3 --dist loadscope --cov --cov-report=term:skip-covered --cov-fail-under=90

test-integrations: .venv-integrations/ready .venv-airflow/ready ## Test the integrations with Spark (requires Java 17), dlt, Dagster and Airflow; three minutes
	ENGINES=required .venv-integrations/bin/python -m pytest --timeout=300 tests/integrations --ignore-glob='*airflow*'
	ENGINES=required .venv-airflow/bin/python -m pytest --timeout=300 tests/integrations/test_airflow.py

lint: $(VENV)/ready ## Run ruff, mypy, import-linter and proselint; check that generated files are current
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/proselint check --config tools/proselint.json README.md CHANGELOG.md CONTRIBUTING.md docs
	$(BIN)/cog --check -I tools $(GENERATED)
	$(BIN)/python tools/openapi.py --check

bench: $(VENV)/ready ## Run the benchmarks
	$(BIN)/python -m bench

soak: $(VENV)/ready ## Run long tests: simulated activity with faults, kills, 2,000 trials of invalid responses; 45 minutes
	$(MAKE) -j 3 soak-activity soak-kills soak-lies

soak-activity: $(VENV)/ready
	$(BIN)/python -m tests.soak.living --minutes 40

soak-kills: $(VENV)/ready
	$(BIN)/python -m tests.soak.kills

soak-lies: $(VENV)/ready
	$(BIN)/python -m tests.lies.trials --processes 3

soak-api: $(VENV)/ready ## Send generated requests to every route of the API; some minutes
	$(BIN)/python -m tests.soak.api

faults: $(VENV)/ready ## Plant faults in the code and check that a test detects each
	$(BIN)/python tools/faults.py

destinations: $(VENV)/ready ## Print the tested properties of every destination; five minutes
	$(BIN)/python -m tests.destinations.report

docs: $(VENV)/ready ## Generate the reference documentation
	$(BIN)/cog -r -I tools $(GENERATED)
	$(BIN)/python tools/openapi.py

picture: $(VENV)/ready ## Generate docs/demo.svg
	$(BIN)/python tools/picture.py

pictures: $(VENV)/ready ## Generate docs/pages/: every page in light and dark mode
	PICTURES=docs/pages $(BIN)/python -m pytest -p no:randomly tests/e2e
	@if command -v pngquant >/dev/null; then pngquant --force --skip-if-larger --ext .png docs/pages/*.png; fi

walk: $(VENV)/ready ## Time the way from a clone to a scheduled dataset in Chromium
	@$(BIN)/python tools/walk.py

styles: $(VENV)/ready ## Generate the style sheet; requires Node
	$(BIN)/python tools/styles.py

clean:
	rm -rf $(VENV) .venv-integrations .venv-airflow dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
