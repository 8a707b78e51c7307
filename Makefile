# The only commands a newcomer needs. `make run` and `make test` do all the set-up on a fresh machine.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ENGINE ?= docker
IMAGE ?= open-private-location
RUNNER_IMAGE ?= open-private-action-runner
VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"$$/\1/p' worker/__init__.py)

# One more than this machine has cores, as some tests wait: for a lease, a time-out, a child's end.
# Building images takes longer than all the rest and wants root, so .ci/run does it by itself.
WORKERS := -n $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1))) --dist worksteal -q
ROUNDS ?= 60
PYTEST_ARGS ?= $(WORKERS) -m 'not deploy and not long'

.PHONY: run test long long-tests long-faults unit test-one check bench image push lock help generate fix screenshots

help:
	@echo "make run    a control plane, a worker, a runner and a target on this machine; results as they come"
	@echo "make run DEMO=--remediation  the same, and a failing test that has its service restarted"
	@echo "make test   all tests but those of the images, with real processes and signals"
	@echo "make long   the same with the whole of every attack, twenty times the examples and sixty rounds of faults, in about an hour"
	@echo "make long-tests, make long-faults ROUNDS=$(ROUNDS)  its two parts"
	@echo "make unit   the tests without servers and processes, in less than a minute"
	@echo "make test-one K=NAME  the tests whose names contain NAME"
	@echo "make check  style, types, layers"
	@echo "make fix    formats the code and sorts its imports"
	@echo "make generate  the schema, the reference and the drawing of the layers, written again"
	@echo "make screenshots  the pictures of docs/pages.md, taken again"
	@echo "make bench  every figure of docs/figures.md, measured again"
	@echo "make image  the images of worker, control plane and action runner; ENGINE=podman works too"
	@echo "make push REGISTRY=HOST/PATH  the images, built, tagged and pushed there"
	@echo "make lock   the images' dependencies, resolved and pinned again"

run: $(READY)  # Python itself would answer Ctrl-C with a traceback until the demo handles it.
	@trap '' INT; exec $(BIN)/python -m examples.demo $(DEMO)

test: $(READY)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

long: long-tests long-faults  # What a change of a bound, a parser or the policy deserves; .ci/run takes a part of each.

long-tests: $(READY)
	HYPOTHESIS_PROFILE=long $(BIN)/python -m pytest $(WORKERS) -m 'not deploy'

long-faults: $(READY)  # A round is a minute; its seed, which it prints, runs it again.
	$(BIN)/python -m tests.faults --rounds $(ROUNDS) --jobs 3 --minutes 40

unit: $(READY)
	$(BIN)/python -m pytest $(WORKERS) -m 'not long' tests/unit

test-one: $(READY)
	$(BIN)/python -m pytest -m 'not deploy' -k '$(K)'

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

generate: $(READY)
	$(BIN)/python -m docs.generate

screenshots: $(READY)
	SCREENSHOTS=1 $(BIN)/python -m pytest -q -n0 tests/integration/controlplane/test_screenshots.py

bench: $(READY)
	$(BIN)/python -m benchmarks

image:  # Podman's own format of images has no HEALTHCHECK.
	for target in worker controlplane runner; do \
		case $$target in worker) tag=$(IMAGE);; controlplane) tag=$(IMAGE)-controlplane;; runner) tag=$(RUNNER_IMAGE);; esac; \
		$(ENGINE) build $(if $(findstring podman,$(ENGINE)),--format docker) $(BUILD_FLAGS) --target $$target --tag $$tag --tag $$tag:$(VERSION) --build-arg VERSION=$(VERSION) \
			--build-arg REVISION=$$(git rev-parse HEAD) . || exit 1; \
	done

push: image
	@[ -n "$(REGISTRY)" ] || { echo "say where: make push REGISTRY=registry.example/team"; exit 2; }
	for image in $(IMAGE) $(IMAGE)-controlplane $(RUNNER_IMAGE); do \
		$(ENGINE) tag $$image:$(VERSION) $(REGISTRY)/$$image:$(VERSION) && $(ENGINE) push $(REGISTRY)/$$image:$(VERSION) || exit 1; \
	done

LOCK := $(BIN)/pip-compile --quiet --upgrade --allow-unsafe --generate-hashes --strip-extras \
	--no-emit-find-links --no-emit-index-url --no-emit-trusted-host

lock: $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[deploy]'
	CUSTOM_COMPILE_COMMAND="make lock" $(LOCK) --output-file requirements/build.txt requirements/build.in
	CUSTOM_COMPILE_COMMAND="make lock" $(LOCK) --output-file requirements/worker.txt setup.cfg
	CUSTOM_COMPILE_COMMAND="make lock" $(LOCK) --extra controlplane --output-file requirements/controlplane.txt setup.cfg
	CUSTOM_COMPILE_COMMAND="make lock" $(LOCK) --extra actions --output-file requirements/runner.txt setup.cfg

$(READY): setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, not %d.%d: make PYTHON=/path/to/python3" % sys.version_info[:2])'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq python3-venv; } \
		|| { echo "Python's venv is missing; install it first: sudo apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[actions,controlplane,dev]'
	@touch $(READY)
