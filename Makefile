# Every target sets up .venv by itself; nothing but make and Python 3.11 or newer has to be there first.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
ISAACLAB := .venv-isaaclab
JOBS ?= 2

# No prompt, no notice about pip itself; a line below says what is being installed.
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --no-input

# Only what is imported gets compiled, at its first import, which halves the processor time of an installation.
INSTALL := $(PIP) install --no-compile --constraint constraints.txt
unexport PYTHONDONTWRITEBYTECODE

ISAACLAB_PIP := $(ISAACLAB)/bin/python -m pip --disable-pip-version-check --quiet --no-input install --no-compile

.DEFAULT_GOAL := help
.PHONY: help demo test test-isaaclab lint benchmark docs clean

help: ## this list
	@echo "make TARGET"
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 17

demo: $(VENV)/.demo ## train a walking Go2, check it, run it over ROS 2 (PRETRAINED=1: from the shipped bundle)
	$(BIN)/landbridge demo $(if $(PRETRAINED),--pretrained)

test: lint ## lint, then every test
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup -m "not real_time"
	$(BIN)/python -m pytest -m real_time

lint: $(VENV)/.dev ## ruff, mypy and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

test-isaaclab: $(ISAACLAB)/.ready ## the engines on Isaac Lab, in an environment of their own (.venv-isaaclab, 3 GB)
	$(ISAACLAB)/bin/python -m pytest -k isaac_lab tests/isaac_lab tests/sim/test_conformance.py tests/policies/test_learning.py

benchmark: $(VENV)/.benchmark ## speed against raw MuJoCo and a peer, memory, learning time (ONLY="engine memory": some)
	$(BIN)/python -m benchmarks $(ONLY)

docs: $(VENV)/.dev ## write what the documentation takes from the code: commands, safety constraints, randomised parameters
	$(BIN)/python docs/cli_reference.py
	$(BIN)/python docs/safety_table.py
	$(BIN)/python docs/randomisation_table.py

clean: ## remove the environments, builds and caches; keep runs/
	rm -rf $(VENV) $(ISAACLAB) build dist *.egg-info .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: a set of extras is installed again only when what it is made from has changed.

$(VENV)/.created:
	@test -n "$(PYTHON)" && "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Landbridge needs Python 3.11 or newer, and '$(PYTHON)' is not: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Creating $(VENV) with $$("$(PYTHON)" --version)"
	@"$(PYTHON)" -m venv $(VENV) || { \
	  echo "Python could not create a virtual environment; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@touch $@

$(VENV)/.demo: EXTRAS := train,ros
$(VENV)/.dev: EXTRAS := train,ros,gpu,pybullet,robots,sign,unitree,dev
$(VENV)/.benchmark: EXTRAS := train,ros,gpu,pybullet,benchmark

$(VENV)/.demo $(VENV)/.dev $(VENV)/.benchmark: $(VENV)/.created pyproject.toml constraints.txt
	@echo "Installing landbridge[$(EXTRAS)] into $(VENV) (once; it takes a minute or two)"
	@$(INSTALL) setuptools
	@$(INSTALL) --no-build-isolation --editable ".[$(EXTRAS)]"
	@touch $@

# Isaac Lab, and ovphysx with it, fix other versions than they need, so they go in last, without their requirements.
$(ISAACLAB)/.ready: pyproject.toml constraints-isaaclab.txt
	@test -n "$(PYTHON)" || { echo "Landbridge needs Python 3.11 or newer: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@test -d $(ISAACLAB) || "$(PYTHON)" -m venv $(ISAACLAB)
	@echo "Installing Isaac Lab 3.0.0 and landbridge[train,isaaclab,pybullet] into $(ISAACLAB) (once; a few minutes, 3 GB)"
	@$(ISAACLAB_PIP) --constraint constraints-isaaclab.txt setuptools pytest pytest-xdist hypothesis
	@$(ISAACLAB_PIP) --constraint constraints-isaaclab.txt --no-build-isolation --editable ".[train,isaaclab,pybullet]"
	@$(ISAACLAB_PIP) --no-deps --ignore-requires-python --constraint constraints-isaaclab.txt isaaclab==3.0.0 ovphysx ovstage
	@touch $@
