# `make demo` and `make test` need Python 3.11 or newer and nothing else; the rest goes into .venv.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

SUDO := $(shell test $$(id -u) = 0 || echo sudo)

.PHONY: demo test test-browser test-cluster test-pacs check clean

demo: $(STAMP)
	$(BIN)/medtranslate demo demo-out --overwrite

test: export OMP_NUM_THREADS := 1
test: $(STAMP)
	$(BIN)/pytest -n 2

# Debian or Ubuntu; needs root or sudo where something has to be installed.
test-pacs: $(STAMP)
	dpkg -s dcmtk orthanc orthanc-dicomweb poppler-utils > /dev/null 2>&1 || \
		$(SUDO) apt-get install --yes --no-install-recommends dcmtk orthanc orthanc-dicomweb \
		poppler-utils
	$(BIN)/pytest -m pacs

# Debian; on Ubuntu, where chromium is a snap, install Chromium and its driver first.
test-browser: $(STAMP)
	command -v chromium > /dev/null && command -v chromedriver > /dev/null || \
		$(SUDO) apt-get install --yes --no-install-recommends chromium chromium-driver
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[browser]'
	$(BIN)/pytest -m browser

# In a home of its own, for an account may have a token of Ray.
test-cluster: export OMP_NUM_THREADS := 1
test-cluster: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[cluster]'
	home=$$(mktemp -d) && { env -u RAY_ADDRESS -u RAY_AUTH_MODE -u RAY_AUTH_TOKEN -u RAY_AUTH_TOKEN_PATH \
		HOME=$$home $(BIN)/pytest -m cluster; ended=$$?; rm -rf $$home; exit $$ended; }

check: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell -D - -D .codespell-american

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist demo-out
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
