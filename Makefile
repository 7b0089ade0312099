# `make demo` and `make test` do all the set-up on a fresh machine with Python 3.11 or later.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint types layers unit clean

demo: $(VENV)/.ready
	$(BIN)/eucentric demo --output demo

test: lint types layers unit

lint: $(VENV)/.ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/.ready
	$(BIN)/mypy --num-workers auto

layers: $(VENV)/.ready
	$(BIN)/lint-imports

# A file's tests stay together, for they share what took long to make; processes side by side need few threads, and none
# that spins while it waits. Files of tests that passed are removed at once: they may lie in memory.
unit: $(VENV)/.ready
	@tools/get_chromium.sh
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE tools/in_memory.sh $(BIN)/pytest --numprocesses auto --dist loadfile \
		--override-ini tmp_path_retention_policy=failed

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --no-compile --constraint constraints.txt --editable '.[dev]'
	@$(BIN)/python -m compileall -q -j 0 $(VENV)/lib >/dev/null 2>&1 || true  # on all processors, as pip does on one
	touch $@

clean:
	rm -rf $(VENV) demo
