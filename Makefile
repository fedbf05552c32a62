# Each verb sets up what it needs by itself: a venv in this folder, on a machine with Python 3.11 or newer.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
GENERATED := README.md docs/api.md docs/commands.md docs/settings.md docs/reports.md docs/errors.md

.PHONY: help demo test conformance coverage test-integrations lint bench soak soak-life soak-lies soak-api faults destinations docs picture pictures walk styles clean

help:
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

# What the program needs, and beside it what its makers do.
$(VENV)/runs: EXTRA := [serve]
$(VENV)/ready: EXTRA := [dev]
$(VENV)/runs $(VENV)/ready: pyproject.toml constraints.txt
	@if command -v uv >/dev/null 2>&1; then \
		uv venv -q --allow-existing --python $(PYTHON) $(VENV) && uv pip install -q --python $(BIN)/python -c constraints.txt -e '.$(EXTRA)'; \
	else \
		$(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.$(EXTRA)'; \
	fi
	@touch $@ $(VENV)/runs

# Engines that read by Counterfoil, apart from what its makers need. Airflow wants other versions than constraints.txt.
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

demo: $(VENV)/runs ## the page on a simulated Stripe, until Ctrl-C; ONCE=1: every report into demo.duckdb instead
	@$(BIN)/counterfoil demo $(if $(ONCE),--once)

test: $(VENV)/ready ## the test suite, in at most ten minutes on two cores
	$(BIN)/python -m pytest -n 3 --dist loadscope --durations=20 --durations-min=1

conformance: $(VENV)/ready ## the same with the tests that it samples: every report, every destination
	TESTS=all $(BIN)/python -m pytest -n 3 --dist loadscope --durations=20 --durations-min=1

coverage: $(VENV)/ready ## the test suite, and which lines it does not run; half as long again
	$(BIN)/python -m pytest -n 3 --dist loadscope --cov --cov-report=term:skip-covered --cov-fail-under=90

test-integrations: .venv-integrations/ready .venv-airflow/ready ## Spark (needs Java 17), dlt, Dagster and Airflow read a simulated Stripe; three minutes
	ENGINES=required .venv-integrations/bin/python -m pytest --timeout=300 tests/integrations --ignore-glob='*airflow*'
	ENGINES=required .venv-airflow/bin/python -m pytest --timeout=300 tests/integrations/test_airflow.py

lint: $(VENV)/ready ## ruff, mypy, import-linter, and that generated files are current
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/cog --check -I tools $(GENERATED)
	$(BIN)/python tools/openapi.py --check

bench: $(VENV)/ready ## measurements, side by side with their floors
	$(BIN)/python -m bench

soak: $(VENV)/ready ## a company's life with kills and faults, kills at chosen moments, and 2,000 trials of answers that lie; at most 45 minutes
	$(MAKE) -j 2 soak-life soak-lies

soak-life: $(VENV)/ready
	$(BIN)/python -m tests.soak.living --minutes 40
	$(BIN)/python -m tests.soak.kills

soak-lies: $(VENV)/ready
	$(BIN)/python -m tests.lies.trials --processes 3

soak-api: $(VENV)/ready ## requests that nobody would write to every route of the API; some minutes
	$(BIN)/python -m tests.soak.api

faults: $(VENV)/ready ## planted faults, each against the test named for it
	$(BIN)/python tools/faults.py

destinations: $(VENV)/ready ## which destination has which property, as the tests prove it; five minutes
	$(BIN)/python -m tests.destinations.report

docs: $(VENV)/ready ## the generated references
	$(BIN)/cog -r -I tools $(GENERATED)
	$(BIN)/python tools/openapi.py

picture: $(VENV)/ready ## docs/demo.svg anew
	$(BIN)/python tools/picture.py

pictures: $(VENV)/ready ## docs/pages/ anew: every page in light and dark
	PICTURES=docs/pages $(BIN)/python -m pytest -p no:randomly tests/e2e
	@if command -v pngquant >/dev/null; then pngquant --force --skip-if-larger --ext .png docs/pages/*.png; fi

walk: $(VENV)/ready ## from a clone to a scheduled dataset on the demo, by Chromium and with a clock
	@$(BIN)/python tools/walk.py

styles: $(VENV)/ready ## the page's style sheet anew; only this needs Node
	$(BIN)/python tools/styles.py

clean:
	rm -rf $(VENV) .venv-integrations .venv-airflow dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
