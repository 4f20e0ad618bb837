# edgeemo: `make help` lists what can be made. Needs Python 3.11+, gcc and make; no root.
#
# The torch that a package index gives by default may be a CUDA build of several GB. For the small
# CPU build of PyTorch's own index:
#   make install TORCH_ARGS="--index-url https://download.pytorch.org/whl/cpu"

PYTHON ?= python3
TORCH_ARGS ?=
# What `make install` takes of the optional dependencies; pyproject.toml tells what each brings.
EXTRAS ?= onnx,tflite,audio,live,vision,train,export,teachers,dev

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/edgeemo-installed
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
C_FILES := $(shell find cmake_ext -name '*.[ch]' -o -name CMakeLists.txt)

# A .venv that was copied from elsewhere or whose Python is gone is of no use: begin again.
ifneq ($(filter-out help clean,$(MAKECMDGOALS)),)
$(shell $(BIN)/python -c 'import sys, edgeemo._native; sys.exit(sys.prefix != "$(CURDIR)/$(VENV)")' \
  2>/dev/null || rm -f $(STAMP))
endif

.DEFAULT_GOAL := help
.PHONY: help install demo test lint docs bench clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' Makefile

install: $(STAMP) ## .venv with everything that development needs, edgeemo and its teachers editable

$(STAMP): pyproject.toml teachers/pyproject.toml constraints.txt $(C_FILES)
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit(f"edgeemo needs Python 3.11 or later, $(PYTHON) is {v.major}.{v.minor}; try: make install PYTHON=python3.12")'
	@$(BIN)/python -c 'import sys, pip; sys.exit(sys.prefix != "$(CURDIR)/$(VENV)")' 2>/dev/null \
	  || $(PYTHON) -m venv --clear $(VENV)
	@echo "installing into $(VENV): a few minutes and some 3 GB the first time"
	@# torch first and alone, so that TORCH_ARGS concern nothing else.
	$(PIP) install --constraint constraints.txt $(TORCH_ARGS) torch
	$(PIP) install --constraint constraints.txt --editable '.[$(EXTRAS)]' --editable ./teachers
	@if echo '#include <portaudio.h>' | $${CC:-cc} -E - >/dev/null 2>&1; \
	  then $(PIP) install --constraint constraints.txt PyAudio; \
	  else echo "without PyAudio: portaudio.h is not there (Debian: apt-get install portaudio19-dev)"; fi
	@# For editors and type checkers; Python itself finds these folders by the installation.
	@for part in compress export cmake_ext; do ln -sfn ../$$part edgeemo/$$part || true; done
	@$(BIN)/python -m pip --disable-pip-version-check check
	@touch $@

demo: $(STAMP) ## distill, export and predict on the shipped real speech: at most 6 minutes
	@$(BIN)/python examples/demo/demo.py

test: $(STAMP) lint ## set-up, lint, types and all tests; the README's code runs too
	@# Two processes, some 1.5 GB each; a file's tests stay together, for the sake of its fixtures.
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

lint: $(STAMP) ## ruff and mypy --strict
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check .
	@$(BIN)/python -m mypy
	@$(BIN)/python -m mypy tools

docs: $(STAMP) ## the pages as a site under build/site: guides, reference, model cards
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict
	@echo "open build/site/index.html"

bench: $(STAMP) ## benchmarks, one file a question; JSON under benchmarks/results/
	@for file in benchmarks/bench_*.py; do $(BIN)/python $$file || exit 1; done

clean: ## remove .venv, builds and caches; runs and models stay
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
