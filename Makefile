# Everything runs from .venv, made by requirements/install.py from the lock files; `make` alone lists the targets.
# All paths are relative, so that the folder may have any name.

PYTHON ?= python3
REAL_DATA ?= ../shared/data
UV ?= uv
RUN := .venv/bin/python
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header

# What the shell says for other projects must not reach this one.
unexport PYTHONPATH PYTHONHOME PYTHONSAFEPATH PYTHONSTARTUP PYTHONWARNINGS PYTHONOPTIMIZE VIRTUAL_ENV
unexport DJANGO_SETTINGS_MODULE PYTEST_ADDOPTS PYTEST_PLUGINS PIP_USER PIP_TARGET PIP_PREFIX PIP_ROOT
export REAL_DATA
export IMPLICIT_PYTHON ?= $(CURDIR)/.venv-peers/bin/python

define install
@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || \
	{ echo "Inferhub needs Python 3.11 or newer; if it is not '$(PYTHON)': make $@ PYTHON=/path/to/python3.12" >&2; exit 1; }
@$(PYTHON) requirements/install.py $(1)
endef

.PHONY: help demo test lint format test-data test-browser test-distributed bench bench-peers lock clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | while IFS='|' read -r target text; do \
		printf '%-24s %s\n' "$$target" "$$text"; done

demo: ## Install, start everything, do the main job and stay up; ARGS="..." goes to `inferhub demo`
	$(call install,demo)
	@exec $(RUN) manage.py demo $(ARGS)

test: lint ## Lint, then every test that needs only this repository and PyPI; ARGS="..." goes to pytest
	@exec $(RUN) -m pytest -n 2 -m "not data and not browser and not distributed" $(ARGS)

lint: ## Style, types, import directions, missing migrations
	$(call install,test)
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(RUN) -c "from importlinter.cli import lint_imports_command; lint_imports_command()"
	@INFERHUB_HOME=.venv/lint DATABASE_URL= CELERY_BROKER_URL= $(RUN) manage.py makemigrations --check --dry-run

format: ## Rewrite the code in the project's style
	$(call install,test)
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

test-data: ## Tests on the real data in the folder REAL_DATA
	$(call install,test)
	@test -d "$$REAL_DATA" || { echo "There is no folder '$$REAL_DATA': set REAL_DATA to the one with the real data." >&2; exit 1; }
	@exec $(RUN) -m pytest -m data $(ARGS)

test-browser: ## Tests that work the console in Chromium
	$(call install,test)
	@command -v chromium >/dev/null || { echo "Chromium is missing: apt-get install chromium" >&2; exit 1; }
	@exec $(RUN) -m pytest -n 2 -m browser $(ARGS)

test-distributed: ## Tests on RabbitMQ and several hosts in network namespaces
	$(call install,test)
	@command -v rabbitmq-server >/dev/null || { echo "RabbitMQ is missing: apt-get install rabbitmq-server" >&2; exit 1; }
	@command -v ip >/dev/null || { echo "The command ip is missing: apt-get install iproute2" >&2; exit 1; }
	@exec $(RUN) -m pytest -m distributed $(ARGS)

bench: ## Run benchmarks/NAME.py; ARGS="..." goes to it
	@test -f "benchmarks/$(NAME).py" || { echo "make bench NAME=..., one of:" $$(cd benchmarks && grep -l __main__ *.py | sed 's/\.py$$//') >&2; exit 1; }
	$(call install,test)
	@exec $(RUN) -m "benchmarks.$(NAME)" $(ARGS)

bench-peers: ## Install what the benchmarks compare with, in an environment of its own
	@test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --require-hashes --only-binary :all: -r requirements/peers.txt

lock: ## Write the lock files anew; UV_ARGS="--upgrade" takes the newest versions
	@command -v $(UV) >/dev/null || { echo "uv is missing: pip install uv, or make lock UV=/path/to/uv" >&2; exit 1; }
	$(COMPILE) $(UV_ARGS) pyproject.toml --extra embedded --extra s3 --group dev -o requirements/dev.txt
	$(COMPILE) pyproject.toml --extra embedded --extra s3 -c requirements/dev.txt -o requirements/embedded.txt
	$(COMPILE) pyproject.toml --extra s3 -c requirements/dev.txt -o requirements/base.txt
	$(COMPILE) requirements/peers.in -o requirements/peers.txt
	$(COMPILE) --group build -c requirements/dev.txt -o requirements/build.txt

clean: ## Remove what can be made again; the data in INFERHUB_HOME stays
	rm -rf .venv .venv-peers dist bench-results .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
