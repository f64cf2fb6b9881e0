# Every target is one line onto the `bakeoff` command, after making sure of what it stands on.
# Variables become options when they are set: make run AGENT=gpt SEED=1 HOURS=2 USD=5
# What a shell exports for other Python programs is not for these; PYTHON alone is (see scripts/setup).
unexport $(filter-out PYTHON,$(filter PYTHON% CDPATH,$(.VARIABLES)))

BAKEOFF := .venv/bin/bakeoff
PYTEST := .venv/bin/python -m pytest

# option: a flag with its value, quoted for the shell; flag: a switch, off for an empty value or 0.
quoted = '$(subst ','\'',$(1))'
option = $(if $($(1)),$(2) $(call quoted,$($(1))))
flag = $(if $(filter-out 0 no false,$($(1))),$(2))

CONDITIONS = $(call option,SEED,--seed) $(call option,HOURS,--hours) \
	$(call option,TRAIN_HOURS,--train-hours) $(call option,TRIALS,--trials) \
	$(call option,USD,--usd) $(call option,TOKENS,--tokens) $(call option,TASK,--task) \
	$(call option,DATA,--data) $(call option,TRIAL_SECONDS,--trial-seconds) $(call option,GPU,--gpu)
AGENT_OPTIONS = $(call option,MODEL,--model) $(call option,BASE_URL,--base-url) \
	$(call flag,REHEARSAL,--rehearsal) $(call flag,RECORD,--record) \
	$(call flag,ALLOW_UNPRICED,--allow-unpriced)

.DEFAULT_GOAL := help
.PHONY: help setup ready venv demo run baseline collect ps logs stop resume doctor clean-runs images \
	test test-unit test-setup test-docker lint lock bench-trainer bench-knobs bench-gateway

help: ## show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  budgets (the first one spent ends a run): HOURS TRAIN_HOURS TRIALS USD TOKENS"
	@echo "  conditions: SEED TASK DATA TRIAL_SECONDS GPU    agents: MODEL BASE_URL RECORD=1"
	@echo "  without a key: REHEARSAL=1    all other options: $(BAKEOFF) COMMAND --help"

setup: ## make .venv with everything, and see that a Docker engine runs
	@scripts/setup dev
	@scripts/engine

ready:
	@scripts/setup run
	@scripts/engine

venv:
	@scripts/setup run

demo: ready ## the whole thing in ten minutes, without a key
	@$(BAKEOFF) demo

run: ready ## an agent's run: AGENT=opus|opus-1m|sonnet|gpt|gemini SEED=1
	@$(BAKEOFF) run $(call quoted,$(AGENT)) $(CONDITIONS) $(AGENT_OPTIONS)

baseline: ready ## a classical optimiser's run: SAMPLER=random|gp|cmaes|tpe|qmc SEED=1
	@$(BAKEOFF) baseline $(call quoted,$(SAMPLER)) $(CONDITIONS)

collect: venv ## compare all runs: results/*.csv and results/summary.md
	@$(BAKEOFF) collect

ps: venv ## runs, and every container and volume of ours
	@$(BAKEOFF) ps

logs: venv ## follow a run: RUN=gpt-s1
	@$(BAKEOFF) logs $(call quoted,$(RUN))

stop: venv ## end a run gracefully: RUN=gpt-s1
	@$(BAKEOFF) stop $(call quoted,$(RUN))

resume: ready ## go on with a run whose runner died: RUN=gpt-s1
	@$(BAKEOFF) resume $(call quoted,$(RUN))

doctor: venv ## check this machine; starts nothing
	@$(BAKEOFF) doctor

clean-runs: venv ## take finished runs off the engine; DATA=1: data too; RUN=gpt-s1: its results, unasked
	@$(BAKEOFF) clean-runs $(if $(RUN),$(call quoted,$(RUN))) $(if $(filter 1,$(DATA)),--data)

images: ready ## build the images whose inputs changed
	@$(BAKEOFF) images

test: setup lint test-unit test-setup test-docker ## set up, then every check and test

test-unit:  ## tests that need no engine
	@scripts/setup dev
	@$(PYTEST) -n auto tests/unit

test-setup: ## set-up on machines of all kinds, and in a later year
	@scripts/setup dev
	@$(PYTEST) -n 2 tests/setup

test-docker: setup images ## tests against the engine
	@$(PYTEST) tests/docker

lock: ## choose the versions of all packages anew: WHAT=gateway only some, UPGRADE=1 the newest
	@scripts/setup dev
	@.venv/bin/python scripts/lock $(WHAT) $(call flag,UPGRADE,--upgrade)

lint: ## ruff, mypy and the import layers
	@scripts/setup dev
	@scripts/lint

bench-trainer: ready ## the trainer's speed; prints the table of docs/performance.md
	@scripts/setup dev
	@.venv/bin/python -m benchmarks.trainer

bench-knobs: ready ## do better knobs win by more than the noise? nine trials of a minute
	@scripts/setup dev
	@.venv/bin/python -m benchmarks.trainer.knobs

bench-gateway: ready ## what the gateway adds to a request; prints the table of docs/performance.md
	@scripts/setup dev
	@.venv/bin/python -m benchmarks.gateway
