# setup, native, demo, test, check, bench, docs: each works from a fresh clone; each depends on setup. findings: environments of their own.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: setup native demo test test-all check findings bench docs clean
setup: $(STAMP)

$(STAMP): pyproject.toml requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 12) and "shockmesh needs Python >= 3.12; this is " + sys.version)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable '.[dev,npe,icechunk,docs]'
	mkdir -p $(VENV)/src && ln -sfn ../.. $(VENV)/src/shockmesh
	touch $@

# Optional: days in native code, where there is a C++ compiler. A wheel that is built afterwards has it too.
native: setup
	$(BIN)/python -m shockmesh.kernels.native.build

demo: setup
	$(BIN)/shockmesh example world2014 demo
	$(BIN)/shockmesh import wiod2016 example demo/world2014.zarr
	$(BIN)/shockmesh generate demo/world2014.zarr demo/world2014-20k.zarr --firms 20000 --seed 7
	$(BIN)/shockmesh run demo/lockdown.yaml --out demo/run
	$(BIN)/shockmesh report demo/run

# Three processes for two cores: one that waits for a cluster leaves its core to another. A file stays whole.
SHARED := -n 3 --dist loadfile --no-loadscope-reorder

test: setup
	$(BIN)/python -m pytest -m "not slow" $(SHARED)

test-all: setup
	$(BIN)/python -m pytest $(SHARED)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --threads 2

findings:
	@set -e; count=0; for script in findings/*.sh; do echo "== $$script"; PYTHON=$(PYTHON) "$$script"; count=$$((count + 1)); done; \
	echo "$$count findings, each as described"

bench: setup
	$(BIN)/shockmesh bench kernels

docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet && echo "open build/site/index.html"

clean:
	rm -rf demo build dist *.egg-info
