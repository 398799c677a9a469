# `make demo` and `make test` need Python 3.11 or newer and nothing else; the rest goes into .venv.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

SUDO := $(shell test $$(id -u) = 0 || echo sudo)

.PHONY: demo docs test test-browser test-cluster test-pacs check image sbom release-check clean

demo: $(STAMP)
	$(BIN)/medtranslate demo demo-out --overwrite

# The site, in build/site; a warning is an error.
docs: export NO_MKDOCS_2_WARNING := 1
docs: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	$(BIN)/mkdocs build --quiet --strict

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

# Goes through release/check.py; it builds and installs, which takes minutes and 2 GB in /tmp.
release-check: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[release]'
	$(BIN)/python release/check.py

# A list of the packages in .venv, in CycloneDX; `release-check` makes the one of an empty environment.
sbom: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[release]'
	mkdir -p dist
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
		--output-file dist/sbom.cdx.json $(BIN)/python

# DEVICE=cuda for one that computes on a GPU; TORCH_INDEX=URL for another CUDA than that of PyPI's PyTorch.
DEVICE ?= cpu
IMAGE_PYTHON ?= 3.13
BUILDER ?= podman
image: $(STAMP)
	$(BUILDER) build -f containers/Containerfile -t medtranslate:$(DEVICE) --build-arg DEVICE=$(DEVICE) \
		--build-arg PYTHON=$(IMAGE_PYTHON) --build-arg TORCH_INDEX=$(TORCH_INDEX) \
		--build-arg VERSION="$$($(BIN)/medtranslate --version | sed 's/.* //')" .

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist demo-out
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
