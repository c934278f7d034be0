# make results   environment, the main job on the embedded digits, its tables and figures, the page of all results
# make test      the tests          make bench   timings          make lint   style and types
# make evidence  downloads what the committed records of CIFAR-10 read

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed

.PHONY: results test bench evidence lint clean

results: $(INSTALLED)
	$(BIN)/python -m benchmarks.run experiment=quickstart
	$(BIN)/python -m benchmarks.dashboard

test: $(INSTALLED)
	$(BIN)/python -m pytest

bench: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python -W ignore -m benchmarks.bench

evidence: $(INSTALLED)
	$(BIN)/python -m benchmarks.evidence

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test,lint]'
	touch $(INSTALLED)

clean:
	rm -rf .venv results/cache
