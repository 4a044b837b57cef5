# Each target sets up .venv when it is missing or older than what it is made from.
PYTHON ?= python3
EXTRA ?= cuda12
BIN := .venv/bin
OUT ?= bench/results
WORKERS ?= 16

.PHONY: train test test-slow bench gpu gpu-ready gpu-test gpu-kernel gpu-loaders gpu-step gpu-tune lint clean

train: .venv/ready
	$(BIN)/python -m train

test: .venv/ready
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-slow: .venv/ready
	$(BIN)/python -m pytest -m slow

bench: .venv/ready
	$(BIN)/python -m bench loaders

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# With the Python at hand where that has DALI already (a GPU machine without a package registry), else with .venv.
GPU_PYTHON = $(shell $(PYTHON) -c 'import nvidia.dali, torch, pytest' 2>/dev/null && echo $(PYTHON) || echo $(BIN)/python)

gpu: gpu-test gpu-kernel gpu-loaders gpu-step gpu-tune

gpu-ready:
	@if [ $(GPU_PYTHON) = $(BIN)/python ]; then $(MAKE) .venv/ready; fi
	$(GPU_PYTHON) setup.py --quiet build_ext --inplace
	mkdir -p $(OUT)

# Only files that have such tests: the others import what a GPU machine need not have.
gpu-test: gpu-ready
	$(GPU_PYTHON) -m pytest -m gpu $(shell grep -l 'mark.gpu' tests/test_*.py)

gpu-kernel: gpu-ready
	$(GPU_PYTHON) -m bench kernel --device cuda:0 --json $(OUT)/kernel-gpu.json

gpu-loaders: gpu-ready
	$(GPU_PYTHON) -m bench loaders --device cuda:0 --threads $(WORKERS) \
		--json $(OUT)/loaders-gpu.json --png $(OUT)/loaders-gpu.png

gpu-step: gpu-ready
	$(GPU_PYTHON) -m bench step --device cuda:0 --threads $(WORKERS) --json $(OUT)/step-gpu.json

gpu-tune: gpu-ready
	$(GPU_PYTHON) -m bench tune --device cuda:0 --json $(OUT)/tune-gpu.json

.venv/ready: pyproject.toml setup.py $(wildcard dali_cutmix/resample*.cpp dali_cutmix/resample*.h)
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[$(EXTRA),dev]'
	touch $@

clean:
	rm -rf .venv build dist *.egg-info dali_cutmix/*.so
