# Everything a fresh machine needs is python3 (3.11 or newer), make and git.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
BENCH_READY := $(VENV)/.bench-ready

.PHONY: help demo test test-all test-all-postgres test-service test-image nightly faults sabotage check format bench screenshots docs package clean

help: ## Say what can be made
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Installed as one finished step: a set-up that was cut off is begun again.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("rowhooks needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	@echo "Making an environment in $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@echo "Installing rowhooks and what its tests need, an embedded PostgreSQL among it. This takes some minutes ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@echo "The environment is complete."
	@touch $(READY)

$(BENCH_READY): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,bench]'
	touch $(BENCH_READY)

demo: $(READY) ## Show the main job on an embedded PostgreSQL
	$(BIN)/rowhooks demo

# One more at once than there are processors, because many wait; each with a server of its own; a file's tests one after
# another. On a server that is given all of them one after another: they make and drop roles, which are the whole server's.
# In the order of their files: those with few tests that take long, in tests/faults, come first and not at the end, where
# one worker would have nothing left to do.
WORKERS ?= $(if $(ROWHOOKS_TEST_DSN),0,$(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1))))

test: $(READY) ## Run the tests on an embedded PostgreSQL (or the one in ROWHOOKS_TEST_DSN)
	HYPOTHESIS_PROFILE=quick $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder -m 'not long'

test-all: $(READY) ## Run them all: the property tests with all their examples, and random faults
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

test-all-postgres: $(READY) ## Run the tests that depend on the server on PostgreSQL 14 to 18, or on VERSIONS="14 16"; MOST=1: most
	$(BIN)/python -m tests.all_postgres $(VERSIONS) $(if $(MOST),--most)

test-service: $(READY) ## Boot a machine with systemd, and run the service's tests in it (root, debootstrap, systemd-nspawn)
	ROWHOOKS_SERVICE=1 $(BIN)/python -m pytest -v tests/service

test-image: $(READY) ## Build the image, and run it (root, debootstrap, buildah, podman, crun)
	$(BIN)/python -m pytest -v tests/packaging/test_image.py

nightly: $(READY) ## Run the property tests at length
	HYPOTHESIS_PROFILE=nightly $(BIN)/python -m pytest tests/sql/test_capture_property.py tests/faults/test_interleavings.py

MINUTES ?= 30

faults: $(READY) ## Break things at random for MINUTES=30, and run the fault tests in their large sizes
	ROWHOOKS_FAULTS=long ROWHOOKS_FAULTS_MINUTES=$(MINUTES) $(BIN)/python -m pytest -v tests/faults

sabotage: $(READY) ## Take each mechanism of docs/guarantees.md away, and see its test fail
	$(BIN)/python -m tests.support.sabotage

check: $(READY) ## Format, lint, types, import direction, SQL lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/sqlfluff lint --disable-progress-bar --nocolor sql daemon

format: $(READY) ## Put the code into its standard form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# BENCH="--only console --quick" measures a part of it.
bench: $(BENCH_READY) ## Measure the cost of capture, the speed of the daemon and the console's pages
	$(BIN)/python -m benchmarks $(BENCH)

screenshots: $(READY) ## Take the pictures of docs/console-pages.md with Chromium
	ROWHOOKS_SCREENSHOTS=docs/console $(BIN)/python -m pytest tests/web/browser/test_screenshots.py

docs: $(READY) ## Build the documentation site into build/site; a broken link is an error
	rm -rf build/docs build/site
	$(BIN)/python -m website build/docs
	$(BIN)/zensical build --strict --clean

package: $(READY) ## Build the wheel, the sdist and the Debian package into dist/
	rm -rf build dist
	$(BIN)/python packaging/manual.py build/share
	ROWHOOKS_SHARE=$(CURDIR)/build/share $(BIN)/python -m build --no-isolation
	$(BIN)/twine check --strict dist/*.whl dist/*.tar.gz
	$(BIN)/check-wheel-contents dist/*.whl
	$(BIN)/python packaging/debian.py dist build

clean: ## Remove the environment and everything built
	rm -rf $(VENV) .bench .cache build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
