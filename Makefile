# Each target sets up .venv when it is missing or older than what it is made from.
PYTHON ?= python3
EXTRA ?= cuda12
BIN := .venv/bin
OUT ?= bench/results
WORKERS ?= 16

.PHONY: train test bench gpu gpu-with lint clean

train: .venv/ready
	$(BIN)/python -m train

test: .venv/ready
	$(BIN)/python -m pytest

bench: .venv/ready
	$(BIN)/python -m bench loaders

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# With the Python at hand where that has DALI already (a GPU machine without a package registry), else with .venv.
gpu:
	@if $(PYTHON) -c 'import nvidia.dali, torch, pytest' 2>/dev/null; \
	then $(MAKE) gpu-with GPU_PYTHON=$(PYTHON); \
	else $(MAKE) .venv/ready && $(MAKE) gpu-with GPU_PYTHON=$(BIN)/python; fi

gpu-with:
	$(GPU_PYTHON) setup.py --quiet build_ext --inplace
	$(GPU_PYTHON) -m pytest -m gpu
	mkdir -p $(OUT)
	$(GPU_PYTHON) -m bench kernel --device cuda:0 --json $(OUT)/kernel-gpu.json
	$(GPU_PYTHON) -m bench loaders --device cuda:0 --threads $(WORKERS) \
		--json $(OUT)/loaders-gpu.json --png $(OUT)/loaders-gpu.png
	$(GPU_PYTHON) -m bench step --device cuda:0 --threads $(WORKERS) --json $(OUT)/step-gpu.json
	$(GPU_PYTHON) -m bench tune --device cuda:0 --json $(OUT)/tune-gpu.json

.venv/ready: pyproject.toml setup.py $(wildcard dali_cutmix/resample*.cpp dali_cutmix/resample*.h)
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[$(EXTRA),dev]'
	touch $@

clean:
	rm -rf .venv build dist *.egg-info dali_cutmix/*.so
