# Each target sets up .venv when it is missing or older than what it is made from.
PYTHON ?= python3
EXTRA ?= cuda12
BIN := .venv/bin
MINUTES ?= 8
DEVICE ?= cuda:0

.PHONY: train test test-slow bench gpu gpu-ready lint clean

train: .venv/ready
	$(BIN)/python -m train

test: .venv/ready
	$(BIN)/python -m pytest -n 2 --dist loadfile --max-worker-restart 1

test-slow: .venv/ready
	$(BIN)/python -m pytest -m slow -o faulthandler_timeout=3600

bench: .venv/ready
	$(BIN)/python -m bench loaders

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# With the Python that was given (PYTHON=...), which has to have DALI; else with the one at hand where that has DALI already
# (a GPU machine without a package registry), else with .venv.
NEEDED = import nvidia.dali, torch, pytest
ifeq ($(origin PYTHON),command line)
GPU_PYTHON = $(PYTHON)
else
GPU_PYTHON = $(eval GPU_PYTHON := $(shell $(PYTHON) -c '$(NEEDED)' 2>/dev/null && echo $(PYTHON) || \
	echo $(BIN)/python))$(GPU_PYTHON)
endif

# make gpu MINUTES=4 STEPS="tests kernel" PHOTOS=/data/train; make gpu DEVICE=cpu tries the steps without a GPU.
gpu: gpu-ready
	$(GPU_PYTHON) -m bench gpu --minutes $(MINUTES) --device $(DEVICE) $(if $(STEPS),--steps $(STEPS)) \
		$(if $(PHOTOS),--data $(PHOTOS))

gpu-ready:
	@if [ $(GPU_PYTHON) = $(BIN)/python ]; then $(MAKE) .venv/ready; fi
	@$(GPU_PYTHON) -c '$(NEEDED)'
	-$(GPU_PYTHON) setup.py --quiet build_ext --inplace

.venv/ready: pyproject.toml setup.py $(wildcard dali_cutmix/fused/resample*.cpp dali_cutmix/fused/resample*.h)
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[$(EXTRA),dev]'
	touch $@

clean:
	rm -rf .venv build dist *.egg-info dali_cutmix/fused/*.so
