# ERIP, from a bare machine: Python 3.11 or newer, git and make are all it takes. `make` shows the targets.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INPUT ?=
HA ?=
NAME ?=
DIR ?=
CARRY ?=
APP ?=
NEW ?=
FIELDS ?=
KEY ?=
OUT ?= dist
SIGNERS ?=
BASE ?=
SNAPSHOT ?=
PYTEST_ARGS ?=
# Processes that share the suite; 0: all of it in one, which is quicker for a few tests and the only way to use --pdb.
# Three, for two cores: half of the time a test waits for something.
JOBS ?= $(if $(PYTEST_ARGS),0,3)
IMAGE = $(PYTHON) -I -c 'import sys; sys.path.insert(0, "."); from erip.ops.image.__main__ import main; sys.exit(main())'
RELEASE = $(PYTHON) -I -c 'import sys; sys.path.insert(0, "."); from erip.ops.release import main; sys.exit(main())'
CHECKS := lint format types imports migrations security manifests test

export PYTHONUNBUFFERED := 1

.DEFAULT_GOAL := help
.PHONY: sbom image image-check release verify-release audit help demo up dev restart upgrade new ha-deps down status logs check $(CHECKS) test-unit fix requirements venv venv-as-is clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: venv ## run breach-response on a sample incident, or on INPUT=file.json; leaves nothing running
	@$(BIN)/python -m erip.ops.stack demo $(if $(INPUT),"$(INPUT)")

up: venv ## start the platform; it stays up. HA=1: several of everything, any of which may die (CARRY=1: with the data)
	@$(BIN)/python -m erip.ops.stack up $(if $(HA),--ha) $(if $(CARRY),--carry)

dev: venv ## the platform while you develop: a changed file is taken in and tried. APP=folder of yours; NEW=folder makes it
	@$(if $(NEW),$(BIN)/python manage.py new "$(notdir $(NEW))" --dir "$(dir $(NEW))" --quiet $(if $(FIELDS),--fields $(FIELDS)) &&) \
	  $(BIN)/python -m erip.ops.stack dev $(if $(APP)$(NEW),--app "$(or $(NEW),$(APP))")

restart: venv ## bring changed code, and settings that are set now, into the platform that runs
	@$(BIN)/python -m erip.ops.stack restart

upgrade: venv-as-is ## a newer release: git pull, and what runs goes over to it; your own versions stay in force, and are named
	@git pull --ff-only
	@$(BIN)/python -m erip.ops.stack upgrade
	@$(BIN)/python -W ignore manage.py shipped

new: venv ## make a package with an own step, a definition, a trigger and a test that run: NAME=my-steps, FIELDS="order:str amount:float"
	@$(BIN)/python manage.py new "$(NAME)" $(if $(DIR),--dir "$(DIR)") $(if $(FIELDS),--fields $(FIELDS))

ha-deps: ## install what HA=1 needs and only root can install (Debian, Ubuntu); TOOLS=1: and promtool, for the tests
	@TOOLS=$(TOOLS) sh deploy/ha-deps.sh

down: venv-as-is ## end the platform and its servers
	@$(BIN)/python -m erip.ops.stack down

status: venv-as-is ## what runs, with addresses
	@$(BIN)/python -m erip.ops.stack status

logs: venv-as-is ## the end of the logs
	@$(BIN)/python -m erip.ops.stack logs

check: venv ## everything that must hold before a commit: all the checks below
	@failed=; took=; for one in $(CHECKS); do \
	  began=$$(date +%s); \
	  echo "== $$one"; $(MAKE) --no-print-directory $$one || failed="$$failed $$one"; \
	  took="$$took $$one $$(($$(date +%s) - began)) s,"; \
	done; \
	echo "check:$${took%,}"; \
	if [ -n "$$failed" ]; then echo "check: FAILED:$$failed" >&2; exit 1; fi; \
	echo "check: all passed"

test: venv ## the whole test suite, against a PostgreSQL and Redis of its own; or PYTEST_ARGS=tests/...
	@$(BIN)/python -m erip.ops.stack with-servers --no-fsync -- \
	  $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --durations 20 $(PYTEST_ARGS)

test-unit: venv ## the tests that need no server, in less than a minute
	@env -u DATABASE_URL -u ERIP_BROKER_URL $(BIN)/python -m pytest -n $(JOBS) tests/unit $(PYTEST_ARGS)

lint: venv ## ruff's rules
	@$(BIN)/ruff check .

format: venv ## ruff's format, checked
	@$(BIN)/ruff format --check .

types: venv ## mypy with Django's stubs
	@$(BIN)/mypy .

imports: venv ## import-linter: imports point one way
	@$(BIN)/lint-imports

migrations: venv ## the models and the migrations agree
	@DJANGO_SETTINGS_MODULE=erip.settings.test $(BIN)/python -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run

security: venv ## bandit
	@$(BIN)/bandit -q -r -ll -c pyproject.toml erip workflows schedules people monitoring console benchmarks client

manifests: venv ## deploy/k8s against Kubernetes' schemas, our rules, and checkov, which is installed beside the platform
	@$(BIN)/python -m erip.ops.kubernetes gate

sbom: ## print a bill of materials (CycloneDX) of all pins; fails on a pin without a hash
	@$(PYTHON) -I -c 'import sys; sys.path.insert(0, "."); from erip.ops.stack.bom import main; sys.exit(main())'

image: ## build the container image of HEAD without a daemon, and its bill of materials (OUT=dist; SNAPSHOT=20261101T000000Z, BASE=)
	@$(IMAGE) build --out "$(OUT)" --base "$(BASE)" --snapshot "$(SNAPSHOT)"

image-check: venv ## as root: build it twice, compare the digests, and run it as deploy/k8s says; 5 to 15 minutes
	@$(BIN)/python -m benchmarks.image --out "$(OUT)" --base "$(BASE)" --snapshot "$(SNAPSHOT)"

release: ## make and sign a release of HEAD, the same bytes each time: KEY=an Ed25519 key of OpenSSH (OUT=dist)
	@$(RELEASE) make --key "$(KEY)" --out "$(OUT)"

verify-release: ## check one before it is used: SIGNERS=a file with its signer's public key (OUT=dist: where the release is)
	@$(RELEASE) verify "$(OUT)" --signers "$(SIGNERS)"

audit: venv ## ask for known vulnerabilities of the pins; needs a network, and fails without one
	@$(BIN)/uv tool run --from pip-audit==2.10.1 pip-audit --require-hashes --disable-pip --strict -r requirements.txt -r deploy/k8s/checkov/pins.txt

fix: venv ## let ruff fix what it can
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

requirements: venv ## compile the pins, with hashes, from requirements.in and the wheels' names
	@$(BIN)/python erip/ops/stack/pins.py

venv:
	@$(PYTHON) -I erip/ops/stack/bootstrap.py --venv $(VENV)

# What runs was started from the environment as it is; that is also what ends it.
venv-as-is:
	@$(PYTHON) -I erip/ops/stack/bootstrap.py --venv $(VENV) --keep

clean: down ## end everything, and remove the virtual environment and the stack's data
	@if [ -f .erip/home ]; then rm -rf "$$(cat .erip/home)"; fi
	rm -rf $(VENV) .erip
