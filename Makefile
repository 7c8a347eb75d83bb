# Every target does all it needs from a bare checkout: Python 3.11 or newer, git and make are enough.

PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13; do \
	$$p -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: run test test-slow virtual coverage coverage-core check bench explore validation capacity requirements notebook notebooks readme compiled test-compiled clean

# What most of a run is spent in, and what mypyc can compile: msgspec needs its structs as Python makes them, and logs are
# made out of one another.
HOT := $(filter-out %/__init__.py %/config.py %/counters.py %/dedupe.py %/effects.py %/facts.py %/frames.py %/kept_log.py %/memory_log.py %/snapshot.py %/tokens.py,$(wildcard chatsim/core/*.py)) \
	$(addprefix chatsim/,people/memory.py people/people.py network/link.py) \
	$(addprefix chatsim/sim/,alarm.py company.py crowd.py engine.py event_loop.py node.py pipe.py turn.py)
COMPILED := build/compiled

run: $(INSTALLED)
	$(BIN)/chatsim demo

test: check
	$(BIN)/python -m pytest -q -m 'not slow' -n auto --dist loadfile

# What takes long by its nature, and every shipped scenario on real sockets. A run on them says that it is invalid when the
# machine was too busy for a verdict about the handler, and is then tried again, twice at most. A broken promise is final.
# Alone is played what promises how soon messages are there, or leaves what it promises little room. The others wait for most
# of theirs, as does what faults were shrunk to, a few people who say a few messages: four at a time keep no processor busy.
ALONE := authentication connection-limit crash-recovery draining flash-crowd half-open-phones large-session limiter many-devices \
	restart-storm retries revocation seven-types slow-reader steady tls-everywhere token-refresh typing-presence vanished-peer \
	capacity/one-node
BESIDE := duplicate-sends half-open-baseline log-outage quiet-connections reconnect stale-sweep user-broadcast regressions/*

test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -q -m slow -n auto --dist loadfile
	$(BIN)/chatsim check $(ALONE:%=scenarios/%.yaml) --on live --attempts 3
	printf '%s\n' $(BESIDE:%=scenarios/%.yaml) | xargs -n 2 -P 4 $(BIN)/chatsim check --on live --attempts 3

# Every shipped scenario as it stands, by the real server on a clock that skips what nobody waits for.
virtual: $(INSTALLED)
	$(BIN)/chatsim check scenarios --on virtual

# All tests once more with every line and branch counted, in whatever process: all of the core, and nine tenths of the rest.
coverage: $(INSTALLED)
	rm -rf build/coverage
	mkdir -p build/coverage
	$(BIN)/coverage run -m pytest -q -n auto --dist loadfile
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --include='chatsim/core/*' --fail-under=100
	$(BIN)/coverage report --omit='chatsim/core/*' --fail-under=90

# The same of the core by its own tests alone, which need no server and no other process: a minute and a half on two cores.
# What these miss is a gap, whoever else comes by there: continuous integration asks for it each time.
coverage-core: $(INSTALLED)
	rm -rf build/coverage
	mkdir -p build/coverage
	$(BIN)/coverage run -m pytest -q -m 'not slow' -n auto tests/core
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --include='chatsim/core/*' --fail-under=100

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(INSTALLED) $(if $(shell command -v cc),compiled)
	$(BIN)/python -m tests.bench

# Plants the mutants, and the control that has none, plays 20,000 seeds (EXPLORE_SEEDS says otherwise) and writes
# results/explore.md.
explore: $(INSTALLED)
	$(BIN)/python -m tests.explore

# Measures this machine and plays every pair live and in simulation: an hour on two cores that nobody else uses.
# Leaves results/calibration.json, which a noisy machine makes less sure (2), and results/validation.html and .csv, whatever
# they say.
validation: $(INSTALLED)
	$(BIN)/chatsim calibrate --journal -o results/calibration.json || [ $$? -eq 2 ]
	$(BIN)/chatsim validate --costs results/calibration.json -o results

# Plays every shipped scenario on every wire and writes results/requirements.md; a gap fails.
requirements: $(INSTALLED)
	$(BIN)/chatsim requirements --attempts 3

# Finds how many users one node carries at the costs that `make validation` has measured, and writes
# results/capacity-report.html, .pdf and results/capacity/.
capacity: $(INSTALLED)
	$(BIN)/chatsim capacity scenarios/capacity/one-node.yaml --target 'p99(delivery_latency) <= 100ms' \
		--set costs=../../results/calibration.json \
		--users 1000000 --headroom 30% --price 0.20 --memory 4GiB --egress 1Gbit/s -o results

# Opens the notebooks in JupyterLab.
notebook: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev,notebook]'
	$(BIN)/jupyter lab notebooks

# Runs them all from top to bottom, and keeps what they show.
notebooks: $(INSTALLED)
	$(BIN)/python -m tests.notebooks

# Plays what the README shows, and writes its outputs and its picture anew.
readme: $(INSTALLED)
	$(BIN)/python -m tests.readme

# The package once more, its hot modules compiled (this wants a C compiler): PYTHONPATH=build/compiled runs it.
# It stands beside the sources and never among them, where a module compiled yesterday would hide what is edited today.
# What Python keeps of its modules stays behind: somebody else may be writing it just now.
compiled: $(COMPILED)/.made

$(COMPILED)/.made: $(INSTALLED) pyproject.toml $(shell find chatsim tests scenarios -name '*.py' -o -name '*.yaml' -o -name '*.json')
	rm -rf $(COMPILED)
	mkdir -p $(COMPILED)
	tar -cf - --exclude __pycache__ chatsim tests scenarios | tar -xf - -C $(COMPILED)
	cd $(COMPILED) && MYPYC_OPT_LEVEL=3 ../../$(BIN)/mypyc $(HOT) >build.log 2>&1 || { tail -n 5 build.log >&2; exit 1; }
	cp pyproject.toml README.md $(COMPILED)
	touch $@

# Its tests, and the proof that a run is the same to the last byte.
test-compiled: $(COMPILED)/.made
	cd $(COMPILED) && ../../$(BIN)/python -m pytest -q -n auto --dist loadfile tests/core tests/people tests/network tests/sim \
		tests/live/test_crowd.py tests/live/test_driver.py tests/live/test_server.py
	$(BIN)/chatsim run scenarios/reconnect.yaml --json --out build/runs | grep trace_hash >build/of-sources
	PYTHONPATH=$(COMPILED) $(BIN)/chatsim run scenarios/reconnect.yaml --json --out build/runs | grep trace_hash >build/of-compiled
	cmp build/of-sources build/of-compiled

clean:
	rm -rf build .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# The stamp is written last, so that an interrupted installation starts again.
$(INSTALLED): pyproject.toml
	@test -n "$(PYTHON)" || { echo "chatsim needs Python 3.11 or newer: install it, or say make PYTHON=/path/to/python" >&2; exit 3; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@
