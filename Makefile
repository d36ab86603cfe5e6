# One command each: `make demo`, `make test`, `make check`, `make docs`, `make dashboards`, `make nightly`, `make bench`,
# `make env`. Everything runs in .venv.

PYTHON ?= python3
UV := 0.13.9
BIN := .venv/bin
STAMP := .venv/.longwave-env
# Where it is set, each of the stack's processes compiles all that it imports at each start.
export PYTHONDONTWRITEBYTECODE :=
# Material prints news of its successor at each build.
export NO_MKDOCS_2_WARNING := 1

.PHONY: env check docs dashboards test nightly demo bench

env: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: Longwave needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) -V 2>&1)." \
	       "Install one and say \`make PYTHON=python3.11 $(MAKECMDGOALS)\`" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "error: $(PYTHON) cannot make virtual environments; on Debian or Ubuntu: sudo apt-get install python3-venv" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m uv --version 2>/dev/null | grep -q "^uv $(UV)\b" || $(BIN)/python -m pip install -q --disable-pip-version-check uv==$(UV)
	VIRTUAL_ENV=.venv $(BIN)/python -m uv pip sync -q --require-hashes requirements.lock
	VIRTUAL_ENV=.venv $(BIN)/python -m uv pip install -q --no-deps -e .
	@touch $@

check: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: env
	$(BIN)/mkdocs build --strict --quiet

dashboards: env
	$(BIN)/python -m dashboards.grafana.generate

test: check docs
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder --durations 15 -m 'not nightly'

nightly: env
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder --durations 15 -m nightly

demo: env
	$(BIN)/longwave demo

bench: env
	$(BIN)/longwave bench all
