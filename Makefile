# Two environments, each installed from a lock with hashes and remade when its lock changes:
#   .venv      looking at models: no TensorFlow, a few seconds
#   .venv-dev  tests and tools: with TensorFlow, a minute or two
# and a third, .venv-other, with another Python and TensorFlow, for the tests of the child that runs models.
# Needs Python 3.10 or later and make; `make PYTHON=python3.12 ...` chooses another Python.

PYTHON ?= python3
# The first Python 3.9 that starts: in PATH, or one of pyenv's.
OTHER_PYTHON ?= $(shell for one in python3.9 "$$(pyenv root 2>/dev/null)"/versions/3.9*/bin/python3.9; do \
	"$$one" -c '' 2>/dev/null && echo "$$one" && break; done)
ARGS ?=

RUN := .venv
DEV := .venv-dev
OTHER := .venv-other
RUN_READY := $(RUN)/.ready
DEV_READY := $(DEV)/.ready

SHELL := /bin/sh
.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:

PIP_INSTALL := -m pip --disable-pip-version-check --no-input install -qq
LOCK := uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --no-emit-index-url

define environment
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	    { echo "tfexplore needs Python 3.10 or later: name one with make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	    { echo "This Python cannot make environments: install its venv package (Debian and Ubuntu: apt-get install python3-venv)" >&2; exit 1; }
	@echo "Preparing $(1) for $(2), once ..."
	@$(PYTHON) -m venv --clear $(1)
	@$(1)/bin/python $(PIP_INSTALL) --no-compile --require-hashes -r $(3)
	@touch $@
endef

# A new lock remakes the environment; a change to pyproject.toml only installs the project again.
$(RUN)/.locked: requirements/run.txt
	$(call environment,$(RUN),looking at models,$<)

$(DEV)/.locked: requirements/dev.txt
	$(call environment,$(DEV),tests and tools with TensorFlow,$<)

$(RUN)/.ready $(DEV)/.ready: %/.ready: %/.locked pyproject.toml
	@$*/bin/python $(PIP_INSTALL) --no-build-isolation --no-deps --editable .
	@touch $@

##@ Look

.PHONY: demo run
demo: $(RUN_READY) ## open the demo model in the explorer
	@$(RUN)/bin/tfexplore demo $(ARGS)

run: $(RUN_READY) ## tfexplore itself: make run ARGS="show ./export_model"
	@$(RUN)/bin/tfexplore $(ARGS)

##@ Check

.PHONY: check test format lint types layers readme fix
check: format lint types layers readme other-where-it-can test ## everything that CI runs

test: $(DEV_READY) ## the tests: make test ARGS="-k name", ARGS="-m 'not tensorflow'" for the quick ones
	@$(DEV)/bin/python -m pytest $(ARGS)

format: $(DEV_READY) ## is the code formatted?
	@$(DEV)/bin/ruff format --check .

lint: $(DEV_READY) ## ruff's rules
	@$(DEV)/bin/ruff check .

types: $(DEV_READY) ## mypy, strict, on src
	@$(DEV)/bin/mypy

layers: $(DEV_READY) ## who may import whom
	@$(DEV)/bin/lint-imports --no-cache --no-logo

readme: ## does every make command in README.md exist?
	@grep -q 'make test' README.md || { echo "README.md does not say: make test" >&2; exit 1; }
	@{ grep -oE '`make [a-z-]+' README.md; \
	   awk '/^```/ { code = !code; next } code || /^    /' README.md | grep -oE '^ *([$$] )?make [a-z-]+'; \
	 } | sed 's/.*make //' | sort -u | while read -r goal; do \
	    grep -q "^$$goal:" Makefile || { echo "README.md names 'make $$goal', which the Makefile does not have" >&2; exit 1; }; \
	done

fix: $(DEV_READY) ## format, and correct what ruff can correct
	@$(DEV)/bin/ruff check --fix-only --quiet .
	@$(DEV)/bin/ruff format .

.PHONY: other-environment other-where-it-can
other-where-it-can: $(DEV_READY)
	@if [ -n "$(OTHER_PYTHON)" ]; then $(MAKE) --no-print-directory other-environment; \
	else echo "There is no Python 3.9 here: the tests that run models with it skip."; fi

other-environment: $(OTHER)/.ready ## for some tests: another Python and TensorFlow, OTHER_PYTHON=python3.9

$(OTHER)/.ready: requirements/other.txt
	@[ -n "$(OTHER_PYTHON)" ] || { echo "name a Python 3.9: make other-environment OTHER_PYTHON=..." >&2; exit 1; }
	@echo "Preparing $(OTHER) with $(OTHER_PYTHON), once ..."
	@$(OTHER_PYTHON) -m venv --clear $(OTHER)
	@$(OTHER)/bin/python $(PIP_INSTALL) --no-compile --require-hashes -r $<
	@touch $@

##@ Measure

.PHONY: oracle bench fuzz
oracle: $(DEV_READY) ## compare every model of the corpus with what TensorFlow says
	@$(DEV)/bin/python tests/oracle/report.py $(ARGS)

fuzz: $(DEV_READY) ## damage small models in every way: make fuzz ARGS="--count 20000 --seed 7"
	@$(DEV)/bin/python tests/campaign/fuzz.py $(ARGS)

bench: $(DEV_READY) ## times and memory
	@$(DEV)/bin/python benchmarks/run.py $(ARGS)

##@ Make anew what the repository ships

.PHONY: schemas optable demo-model screenshots lock
schemas: $(DEV_READY) ## the descriptor sets, from formats/proto/*.proto
	@$(DEV)/bin/python scripts/make_schemas.py

optable: $(DEV_READY) ## the table of TensorFlow's ops
	@$(DEV)/bin/python scripts/make_op_table.py

demo-model: $(DEV_READY) ## the demo model and its checkpoints
	@$(DEV)/bin/python scripts/make_demo.py

screenshots: $(DEV_READY) ## the pictures of the README
	@$(DEV)/bin/python scripts/make_screenshots.py

lock: $(DEV_READY) ## requirements/*.txt, from pyproject.toml; ARGS=--upgrade takes newer versions
	@$(DEV)/bin/$(LOCK) --python-version 3.10 pyproject.toml --group dev --output-file requirements/dev.txt $(ARGS) >/dev/null
	@$(DEV)/bin/$(LOCK) --python-version 3.10 pyproject.toml --group build --constraints requirements/dev.txt --output-file requirements/run.txt $(ARGS) >/dev/null
	@$(DEV)/bin/$(LOCK) --python-version 3.9 requirements/other.in --output-file requirements/other.txt $(ARGS) >/dev/null

##@ Other

.PHONY: clean help
clean: ## remove the environments, caches and builds
	@rm -rf $(RUN) $(DEV) $(OTHER) build dist src/*.egg-info .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find src tests scripts benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## this list
	@awk 'BEGIN { FS = ":.*## " } /^##@ / { printf "\n%s\n", substr($$0, 5) } /^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
