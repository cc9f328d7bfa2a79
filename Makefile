# make demo: the main job, offline, on the bundled weights.   make test: every check.   Both make .venv themselves.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test lint types docs published page unit benchmarks clean

demo: $(READY)
	$(BIN)/tessera demo --dir demo-output

test: lint types docs published page unit

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "tessera needs Python >= 3.11; this is " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[geo,scenes,models,heads,boosting,osm,train,dev]'
	touch $@

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

# the published client, in an environment of its own that is made once; without python3.12 its tests skip
published: $(READY)
	$(BIN)/python tools/published_client.py

# the page's source, if there is Node; the built page is committed
page: $(READY)
	$(BIN)/python tools/page.py

unit: $(READY)
	$(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

benchmarks: $(READY)
	$(BIN)/python benchmarks/belgium.py ../shared/data

clean:
	rm -rf $(VENV) .cache web/node_modules site demo-output benchmarks/output .mypy_cache .ruff_cache .hypothesis
