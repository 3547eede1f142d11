# Two commands matter on a fresh machine: `make demo` shows the product, `make test` proves it.
# Each makes its own environment under .venv from the hashed lock. Nothing else has to be installed.

PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# Stale bytecode is one of the things the product guards against: the tests must be able to see it.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-core lint types check wheel lock bench bench-memory soak system-parts format clean

$(STAMP): requirements-dev.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

demo: $(STAMP)
	$(BIN)/python -m examples.demo

# Most service tests wait most of the time: three side by side take half of it. What bounds milliseconds or processor time runs
# alone, before the others: beside a service under load it would measure that, too.
test: $(STAMP)
	$(BIN)/python -m pytest -q -m "alone and not soak"
	$(BIN)/python -m pytest -q -n 3 -m "not alone and not soak"
	tests/every_interpreter $(BIN)/python

# Seconds: the update machine alone. Run it at each save.
test-core: $(STAMP)
	$(BIN)/python -m pytest -q -m "not soak and not slow" tests/core tests/simulation

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(STAMP)
	$(BIN)/mypy

check: lint types test

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

wheel: $(STAMP)
	tests/wheel_installs $(BIN)/python

bench: $(STAMP)
	$(BIN)/python -m bench

# Memory is compared on an application with pandas, which nothing else here needs: an environment of its own.
bench-memory: $(STAMP) requirements-bench.txt
	test -x $(VENV)/bench/bin/python || $(PYTHON) -m venv $(VENV)/bench
	$(VENV)/bench/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt -r requirements-bench.txt
	$(VENV)/bench/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(VENV)/bench/bin/python -m bench memory

soak: $(STAMP)
	$(BIN)/python -m pytest -q -m soak --timeout 1800

lock: $(STAMP)
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-annotate --no-header requirements-dev.in pyproject.toml -o requirements-dev.txt

# Debian parts that some tests and benches need; without them those tests are skipped, and say so.
system-parts:
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends wrk golang-go golang-github-gin-gonic-gin-dev nodejs npm prometheus openssl

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache
