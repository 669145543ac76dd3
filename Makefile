# Two commands matter: `make up` starts a federation on this machine, `make test` runs everything that decides.
# Both make their own environment in .venv; a second run finds it there.

VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
PYTEST_ARGS ?=

# The machine's own node and npm serve JupyterHub's proxy; a machine without them gets the PyPI wheel.
LOCK := $(if $(and $(shell command -v node),$(shell command -v npm)),.ci/lock/run.lock,.ci/lock/node.lock)

.PHONY: up test lint unit dashboards bench bench-redirect bench-relay bench-decide bench-balance bench-failover bench-docker lock clean docker-tools base-image charts screenshots

up: $(VENV)/.ready
	@$(BIN)/binder-federation up --config config/local.yaml $(ARGS)

# Three at a time: what needs an engine of containers, the front door's tests, and all the rest (tests/conftest.py).
test: lint
	@.ci/test-tools
	@$(BIN)/python -m pytest -n 3 --dist loadscope $(PYTEST_ARGS)

lint: $(VENV)/.ready-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

unit: lint  ## the quick half of the tests: no hub, no builds, no browser
	@$(BIN)/python -m pytest -m "not integration and not e2e" $(PYTEST_ARGS)

dashboards: $(VENV)/.ready-dev  ## writes dashboards/grafana/*.json anew from dashboards/*.py
	@$(BIN)/python -m dashboards

docker-tools:  ## what `up --runtime docker` needs of Debian: engine, registry, buildx, the makings of a base image
	@.ci/docker-tools

# The images that builds of the docker runtime stand on (docs/buildpacks.md). PACKAGES are Debian's, beyond the usual.
BASE_IMAGE ?= binder-base:venv
NOTEBOOK_IMAGE ?= binder-base:notebook
PACKAGES ?=
base-image: $(BIN)/uv docker-tools
	@work=$$(mktemp -d) && trap 'rm -rf "$$work"' EXIT && \
	echo "Making the base image, which takes a minute ..." && \
	UV=$(BIN)/uv members/buildpacks/make-base-image "$$work/base.tar" $(PACKAGES) && \
	members/buildpacks/import-base-image "$$work/base.tar" $(BASE_IMAGE) $(NOTEBOOK_IMAGE) && \
	echo "Made $(BASE_IMAGE) for repositories, and $(NOTEBOOK_IMAGE) for their Dockerfiles."

charts: $(VENV)/.ready  ## what draws the operators' console's charts, where npm could not be reached before
	@.ci/console-charts $(VENV)

screenshots: $(VENV)/.ready-dev  ## the pictures of the console in docs/images
	@PYTHONPATH=tests/federation $(BIN)/python -m console_pictures docs/images

bench: bench-redirect bench-relay

bench-redirect: $(VENV)/.ready  ## redirects per second of one process, beside a bare aiohttp server; 20 s
	@$(BIN)/python -m benchmarks.redirect

bench-relay: $(VENV)/.ready  ## 1,000 streams through one process, beside the same from the member itself; 90 s
	@$(BIN)/python -m benchmarks.relay

bench-decide: $(VENV)/.ready  ## the cost of one routing decision, by the number of members
	@$(BIN)/python -m benchmarks.decide

bench-balance: $(VENV)/.ready  ## how well launches are spread, against other policies; about a minute
	@$(BIN)/python -m benchmarks.balance

bench-failover: $(VENV)/.ready  ## what visitors notice when one of three members is killed; up to two minutes
	@$(BIN)/python -m benchmarks.failover

bench-docker: $(VENV)/.ready docker-tools  ## a member on Docker beside a bare JupyterHub; needs root
	@PYTHONPATH=tests/stage $(BIN)/python -m benchmarks.docker

$(BIN)/uv: .ci/lock/run.lock
	@.ci/make-venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep -oE '^uv==[^ ]+' $<)"
	@touch $@

$(VENV)/.ready: $(BIN)/uv $(LOCK) pyproject.toml .ci/npm/charts/package-lock.json
	@echo "Installing Binder Federation into $(VENV) ..."
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --require-hashes -r $(LOCK)
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --build-constraints .ci/lock/dev.lock -e .
	@.ci/console-charts $(VENV)
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready .ci/lock/dev.lock .ci/npm/tests/package-lock.json
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --require-hashes -r .ci/lock/dev.lock
	@.ci/npm-files .ci/npm/tests $(VENV) $(VENV)/share/binder-federation-tests axe-core/axe.min.js axe-core/LICENSE
	@touch $@

lock: $(BIN)/uv  ## takes the newest versions that pyproject.toml allows
	@export UV_CUSTOM_COMPILE_COMMAND="make lock"; compile="$(BIN)/uv pip compile --quiet --upgrade --generate-hashes --python-version 3.11 pyproject.toml"; \
	$$compile -o .ci/lock/run.lock && \
	$$compile --extra node -c .ci/lock/run.lock -o .ci/lock/node.lock && \
	$$compile --group dev -c .ci/lock/node.lock -o .ci/lock/dev.lock && \
	$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-annotate \
	-c .ci/lock/run.lock members/buildpacks/base/requirements.in -o members/buildpacks/base/requirements.lock

clean:
	@rm -rf $(VENV) .binder-federation
