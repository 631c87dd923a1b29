# make run    set up, build the demo once, serve it at http://127.0.0.1:8080
# make test   set up and run every test
# make docs   write docs/cli.md from the commands' own help
# make lock   renew requirements.lock from setup.cfg
# PORT=8090 make run   another port

PORT   ?= 8080
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: run demo test check docs system lock clean

run: $(VENV)/installed
	$(BIN)/geoshare demo --port $(PORT)

demo: $(VENV)/installed
	$(BIN)/geoshare demo --port $(PORT) --build-only

# A process a core; the tests of a file stay together, as many share a house that is dear to build.
test: $(VENV)/installed-test system check
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder

check: $(VENV)/installed-test
	$(BIN)/lint-imports
	$(BIN)/ruff check --quiet .

# Real clients for the tests, from Debian's packages where this machine has apt and the right to use it;
# elsewhere the tests that need them say so and are skipped.
system:
	@sh config/system-packages.sh

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed: install it, or name it with PYTHON=python3.12 make run"; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { rm -rf $(VENV); echo "python's venv module is missing: on Debian, apt-get install python3-venv"; exit 1; }

$(VENV)/installed: requirements.lock setup.cfg | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/installed-test: requirements-test.lock $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-test.lock
	@touch $@

docs: $(VENV)/installed
	$(BIN)/python docs/make_cli.py

lock:
	$(PYTHON) -m venv var/lock-venv
	var/lock-venv/bin/pip install --quiet pip-tools
	var/lock-venv/bin/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
	  --output-file requirements.lock setup.cfg
	var/lock-venv/bin/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
	  --extra test --constraint requirements.lock --output-file requirements-test.lock setup.cfg

clean:
	rm -rf $(VENV) var
