# Two commands matter: `make up` starts a federation on this machine, `make test` runs everything that decides.
# Both make their own environment in .venv; a second run finds it there.

VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
PYTEST_ARGS ?=

# The machine's own node and npm serve JupyterHub's proxy; a machine without them gets the PyPI wheel.
LOCK := $(if $(and $(shell command -v node),$(shell command -v npm)),.ci/lock/run.lock,.ci/lock/node.lock)

.PHONY: up test lint unit bench bench-docker lock clean

up: $(VENV)/.ready
	@$(BIN)/binder-federation up --config config/local.yaml $(ARGS)

test: lint
	@.ci/test-tools
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(VENV)/.ready-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

unit: lint  ## the quick half of the tests: no hub, no builds, no browser
	@$(BIN)/python -m pytest -m "not integration and not e2e" $(PYTEST_ARGS)

bench: $(VENV)/.ready
	@$(BIN)/python -m benchmarks.front_door

bench-docker: $(VENV)/.ready  ## a member on Docker beside a bare JupyterHub; needs root
	@.ci/docker-tools
	@PYTHONPATH=tests/stage $(BIN)/python -m benchmarks.docker

$(BIN)/uv: .ci/lock/run.lock
	@.ci/make-venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep -oE '^uv==[^ ]+' $<)"
	@touch $@

$(VENV)/.ready: $(BIN)/uv $(LOCK) pyproject.toml
	@echo "Installing Binder Federation into $(VENV) ..."
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --require-hashes -r $(LOCK)
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --build-constraints .ci/lock/dev.lock -e .
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready .ci/lock/dev.lock
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --require-hashes -r .ci/lock/dev.lock
	@touch $@

lock: $(BIN)/uv  ## takes the newest versions that pyproject.toml allows
	@export UV_CUSTOM_COMPILE_COMMAND="make lock"; compile="$(BIN)/uv pip compile --quiet --upgrade --generate-hashes --python-version 3.11 pyproject.toml"; \
	$$compile -o .ci/lock/run.lock && \
	$$compile --extra node -c .ci/lock/run.lock -o .ci/lock/node.lock && \
	$$compile --group dev -c .ci/lock/node.lock -o .ci/lock/dev.lock

clean:
	@rm -rf $(VENV) .binder-federation
