# make help lists the targets. Everything a target needs is installed by the target itself, from
# lock files with hashes, once: stamps inside .venv and node_modules carry the lock files' hashes.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --no-input --quiet
HASH = $(shell { sha256sum $(1) 2>/dev/null || shasum -a 256 $(1); } | cut -c1-16 | tr -d '\n')

RUN_STAMP := $(VENV)/.run-$(call HASH,requirements.txt)
TEST_STAMP := $(VENV)/.test-$(call HASH,requirements.txt)-$(call HASH,tests/requirements.txt)
CLIENTS := ccxt python-binance binance-connector binance-sdk-spot
client_stamp = $(VENV)/clients/$(1)/.installed-$(call HASH,tests/clients/requirements/$(1).txt)
CLIENT_STAMPS := $(foreach name,$(CLIENTS),$(call client_stamp,$(name)))
NODE_STAMP := node_modules/.front-end-$(call HASH,package-lock.json)

# For two cores: a third of the time a test only waits for what it started, and more with whole exchanges. tests/longest.py
# says what comes first.
THREE_AT_ONCE := -n 3 --dist loadfile --no-loadscope-reorder
FOUR_EXCHANGES := -n 4 --dist loadfile --no-loadscope-reorder

# Else each of the hundreds of processes that tests start compiles every module anew, a CPU second each.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run setup setup-test setup-clients native test long chaos planted-recovery planted bench lint bandit security reset

SEED := 1
RUNS := 1
SECONDS := 60
KILLS := 0
COUNT := 0
FAULTS :=
BENCH :=

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

run: setup  ## start the whole exchange on this machine (stop with Ctrl-C)
	@exec $(PY) -m nebannpet.supervisor

test: setup-test  ## the whole test suite, without the tests marked 'long'
	$(PY) -m pytest $(THREE_AT_ONCE) -m "not stack and not long"
	$(PY) -m pytest $(FOUR_EXCHANGES) -m "stack and not long"

long: setup-test $(call client_stamp,freqtrade)  ## only the tests marked 'long' (hours)
	$(PY) -m pytest -m long --timeout 0

chaos: setup-test  ## break a running exchange by seed and judge it: SEED=1 RUNS=1 SECONDS=60 KILLS=0 FAULTS=a,b
	$(PY) -m tests.chaos --seed $(SEED) --runs $(RUNS) --seconds $(SECONDS) --kills $(KILLS) --count $(COUNT) --faults "$(FAULTS)"

planted-recovery: setup-test  ## put known bugs into copies of this tree, one at a time: each must be found
	$(PY) -m tests.chaos.planted

planted: setup-test  ## put small bugs into both engines, one at a time: each must be found
	$(PY) -m tests.matching.engine.planted

bench: setup-test  ## measure the figures of docs/performance, as one table; BENCH="engine peers" only these
	$(PY) -m tests.benchmarks $(BENCH)

lint: setup-test bandit  ## ruff, mypy and bandit
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

# SQL made of texts is looked for by ruff, see pyproject.toml.
bandit: setup-test
	$(PY) -m ruff check --select S608 apps nebannpet
	$(PY) -m bandit -q -c pyproject.toml -r apps nebannpet

security: setup-test bandit  ## the tests of the threats in docs/threats.md, bandit, known holes of packages
	$(PY) -m pytest $(THREE_AT_ONCE) -m "security and not long"
	$(PY) -m tests.security.advisories

reset:  ## delete the data directory (asks first)
	@if [ -x $(PY) ]; then exec $(PY) -m nebannpet.reset; else echo "Nothing to reset: make run has not been used here yet."; fi

setup: $(RUN_STAMP) $(NODE_STAMP) native  ## install and compile what 'make run' needs

native: $(RUN_STAMP)  ## compile the matching engine, with a C compiler of this machine or one from PyPI
	@if $(PY) -m apps.matching.native.build --if-missing; then :; else \
	  echo "setup: no C compiler here builds the matching engine; taking one from nebannpet/requirements-compiler.txt" && \
	  $(PIP) install --require-hashes --no-deps -r nebannpet/requirements-compiler.txt && \
	  $(PY) -m apps.matching.native.build --if-missing || \
	  echo "setup: the compiled matching engine is SKIPPED; the plain one runs, many times slower"; \
	fi

setup-test: setup $(TEST_STAMP) setup-clients  ## install what 'make test' needs

setup-clients: $(CLIENT_STAMPS)

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; $(PYTHON) is `$(PYTHON) --version 2>&1`. Name another with: make run PYTHON=python3.12"; exit 1; }
	@echo "setup: virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "The venv module does not work here. On Debian or Ubuntu: apt-get install python3-venv"; exit 1; }

$(RUN_STAMP): requirements.txt | $(PY)
	@echo "setup: Python packages of requirements.txt (test packages are skipped; make test brings them)"
	@$(PIP) install --require-hashes --no-deps -r requirements.txt
	@rm -f $(VENV)/.run-* && touch $@

$(TEST_STAMP): tests/requirements.txt $(RUN_STAMP)
	@echo "setup: test packages of tests/requirements.txt"
	@$(PIP) install --require-hashes --no-deps -r tests/requirements.txt
	@rm -f $(VENV)/.test-* && touch $@

# Without a pip of its own, each is filled by that of $(VENV).
define client_environment
$(call client_stamp,$(1)): | $(RUN_STAMP)
	@echo "setup: client packages of tests/clients/requirements/$(1).txt"
	@$(PY) -m venv --without-pip --clear $(VENV)/clients/$(1)
	@$(PY) -m pip --python $(VENV)/clients/$(1)/bin/python --disable-pip-version-check --no-input --quiet \
	  install --no-compile --require-hashes --no-deps -r tests/clients/requirements/$(1).txt
	@touch $$@
endef
$(foreach name,$(CLIENTS) freqtrade,$(eval $(call client_environment,$(name))))

$(NODE_STAMP): package-lock.json | $(RUN_STAMP)
	@if command -v npm >/dev/null 2>&1; then \
	  echo "setup: front-end packages of package-lock.json"; \
	  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null; \
	else \
	  echo "setup: no npm on this machine; taking it from nebannpet/requirements-node.txt" && \
	  $(PIP) install --require-hashes --no-deps -r nebannpet/requirements-node.txt && \
	  echo "setup: front-end packages of package-lock.json" && \
	  PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(VENV)/bin/npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null; \
	fi
	@touch $@
