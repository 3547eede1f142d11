# Two commands matter on a fresh machine: `make demo` shows the product, `make test` proves it.
# Each makes its own environment under .venv from the hashed lock. Nothing else has to be installed.

PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# Stale bytecode is one of the things the product guards against: the tests must be able to see it.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-core lint types check wheel man sbom docs lock bench bench-memory bench-save soak system-parts container-tools format clean

$(STAMP): requirements-dev.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	tests/installs $(BIN)/python requirements-dev.txt
	touch $@

demo: $(STAMP)
	$(BIN)/python -m examples.demo

# Most service tests wait most of the time: four side by side take half of it. What bounds milliseconds or processor time runs
# alone, before the others: beside a service under load it would measure that, too.
test: $(STAMP)
	$(BIN)/python -m pytest -q -m "alone and not soak"
	tests/side_by_side $(BIN)/python -m "not alone and not soak"
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

# The documentation as a site. What builds it has an environment of its own; any warning is a failure. The suite looks at what
# was built (tests/docs/test_built_site.py).
DOCS := $(VENV)/docs
$(DOCS)/.installed: $(STAMP) requirements-docs.txt
	test -x $(DOCS)/bin/python || $(PYTHON) -m venv $(DOCS)
	$(BIN)/uv pip install -q --python $(DOCS)/bin/python --require-hashes -r requirements-docs.txt 2>/dev/null || \
	  $(DOCS)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-docs.txt
	touch $@

docs: $(DOCS)/.installed
	$(BIN)/python -m docs.site build/docs
	$(DOCS)/bin/zensical build --config-file build/docs/zensical.toml --strict --clean
	@echo "build/docs/site/index.html"

# Both are committed: a wheel is built without what makes them. Tests say when they are stale.
man: $(STAMP)
	$(BIN)/python -m shipping.manuals

sbom: $(STAMP)
	$(BIN)/python -m shipping.sbom

bench: $(STAMP)
	$(BIN)/python -m bench

# What is compared on pandas and SQLAlchemy, or beside reloaders that nothing else here needs, has an environment of its own.
BENCH := $(VENV)/bench
$(BENCH)/.installed: $(STAMP) requirements-bench.txt
	test -x $(BENCH)/bin/python || $(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt -r requirements-bench.txt
	touch $@
# As users have it, and not -e: sources of midair beside the application would be files of the application, looked at at each save.
INSTALL_FOR_BENCH := $(BENCH)/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --force-reinstall .

bench-memory: $(BENCH)/.installed
	$(INSTALL_FOR_BENCH)
	$(BENCH)/bin/python -m bench memory

# uvicorn-hmr wants Python 3.12, nodemon wants npm: where these are not, those two are left out.
# A shim of pyenv is there for versions that are not selected, too: only what runs counts.
PYTHON312 ?= $(shell python3.12 -c 'import sys; print(sys.executable)' 2>/dev/null || ls -d $(HOME)/.pyenv/versions/3.12.*/bin/python 2>/dev/null | tail -1)
NODEMON := 3.1.14
bench-save: $(BENCH)/.installed
	$(INSTALL_FOR_BENCH)
	-test -x $(BENCH)/python3.12/bin/uvicorn-hmr || { $(PYTHON312) -m venv $(BENCH)/python3.12 && \
	  $(BENCH)/python3.12/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt -r requirements-bench.txt; }
	-test -x $(BENCH)/node/node_modules/.bin/nodemon || \
	  npm install --silent --no-fund --no-audit --prefix $(BENCH)/node nodemon@$(NODEMON)
	$(BENCH)/bin/python -m bench save

soak: $(STAMP)
	$(BIN)/python -m pytest -q -m soak --timeout 1800
	tests/every_interpreter $(BIN)/python tests/worker

lock: $(STAMP)
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-annotate --no-header requirements-dev.in pyproject.toml -o requirements-dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-annotate --no-header -c requirements-dev.txt requirements-bench.in -o requirements-bench.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-annotate --no-header requirements-docs.in -o requirements-docs.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-annotate --no-header requirements-containers.in -o requirements-containers.txt

# What reads a Dockerfile, a Compose file and manifests as their own tools do: a quarter of a gigabyte, so in an environment of its own.
TOOLS := $(VENV)/container-tools
container-tools: $(TOOLS)/.installed
$(TOOLS)/.installed: requirements-containers.txt
	test -x $(TOOLS)/bin/python || $(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-containers.txt
	touch $@

# Debian parts that some tests and benches need; without them those tests are skipped, and say so.
system-parts:
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends wrk golang-go golang-github-gin-gonic-gin-dev prometheus openssl chromium \
	  systemd-container systemd-journal-remote prometheus-alertmanager debootstrap runc groff-base man-db zsh fish
	$(MAKE) --no-print-directory container-tools
	command -v npm >/dev/null || apt-get install -y -qq --no-install-recommends nodejs npm

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache
