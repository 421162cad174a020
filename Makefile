# The front door. Every target installs what it needs into .venv first.
VENV := .venv
PY := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
# Files in the order of their names, or the long ones that hold few tests would come last.
PYTEST_BY_FILE := --dist loadfile --no-loadscope-reorder
# Tests start Python hundreds of times: it keeps what it has compiled, whatever the shell says.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo demo-serve test test-fast docker-test images lint format bench constraints clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(INSTALLED): pyproject.toml constraints.txt scripts/bootstrap.sh
	@sh scripts/bootstrap.sh $(VENV)
	@touch $@

demo: $(INSTALLED)  ## the whole subnet on this machine: a round, scores, weights (var/demo/)
	@exec $(PY) scripts/demo.py

demo-serve: $(INSTALLED)  ## the same, and its leaderboard stays open in your browser until Ctrl-C
	@exec $(PY) scripts/demo.py --serve

test: $(INSTALLED)  ## every test that needs no Docker engine
	$(PY) -m pytest -n 4 $(PYTEST_BY_FILE) --ignore=tests/docker  # on two cores: programs wait much

# One at a time: they share the engine's images, and look at all that is left on it.
docker-test: $(INSTALLED)  ## the tests of images and containers; starts an engine if it may
	@sh scripts/ci_engine.sh
	REQUIRE_DOCKER=1 $(PY) -m pytest --timeout 900 tests/docker  # an image may take minutes

images:  ## build the four images
	docker build -f evaluator.Dockerfile -t speech .
	docker build -f worker.Dockerfile -t worker-image .
	docker build -f modelq.Dockerfile -t modelq-image .
	docker build -f api.Dockerfile -t api-image .

test-fast: $(INSTALLED)  ## the tests that take seconds
	$(PY) -m pytest -n 2 $(PYTEST_BY_FILE) -m "not slow" tests/unit

lint: $(INSTALLED)  ## style, types, import rules
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

format: $(INSTALLED)  ## let ruff rewrite what it can
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

bench: $(INSTALLED)  ## measure; JSON last (half an hour)
	@status=0; for bench in benchmarks/*.py; do $(PY) $$bench || status=$$?; done; exit $$status

constraints:  ## pin the newest versions that fit pyproject.toml (needs uv)
	@{ echo "# Every version that an install may use, for Python 3.10 to 3.13. Written by \`make constraints\`."; \
	   echo "# CUDA's own packages are left out: torch pins those itself."; \
	   uv pip compile --universal --python-version 3.10 --all-extras pyproject.toml \
	       --no-header --no-annotate -q | grep -vE '^(nvidia-|cuda-)'; } > constraints.new
	@mv constraints.new constraints.txt

clean:  ## remove the environment and everything under var/
	rm -rf $(VENV) var
