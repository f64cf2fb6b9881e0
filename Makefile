# Targets that run contestants call `bakeoff`; the others test, lint, lock and measure this project.
# Each of them first sets up what it needs. Variables that are set become options:
#   make run AGENT=gpt SEED=1 HOURS=2 USD=5
# Python's variables that a shell exports are not passed on, except PYTHON (see scripts/setup).
unexport $(filter-out PYTHON,$(filter PYTHON% CDPATH,$(.VARIABLES)))

BAKEOFF := .venv/bin/bakeoff
LOGGED = $(BAKEOFF) $(call option,LOG,--log)
PYTEST := .venv/bin/python -m pytest

# option: an option with its value, quoted for the shell. flag: a switch; empty, 0, no and false turn
# it off.
quoted = '$(subst ','\'',$(1))'
option = $(if $($(1)),$(2) $(call quoted,$($(1))))
flag = $(if $(filter-out 0 no false,$($(1))),$(2))

CONDITIONS = $(call option,SEED,--seed) $(call option,HOURS,--hours) \
	$(call option,TRAIN_HOURS,--train-hours) $(call option,TRIALS,--trials) \
	$(call option,USD,--usd) $(call option,TOTAL_USD,--total-usd) \
	$(call option,COMPUTE_USD_PER_HOUR,--compute-usd-per-hour) $(call option,TOKENS,--tokens) $(call option,TASK,--task) \
	$(call option,DATA,--data) $(call option,TRIAL_SECONDS,--trial-seconds) $(call option,GPU,--gpu) \
	$(call option,GPUS,--gpus) $(call option,CPU_SETS,--cpu-sets) \
	$(call option,RUNTIME,--runtime) \
	$(call option,VERIFY,--verify) $(call option,K,--verify-seeds) \
	$(call flag,RETRY_DISTURBED,--retry-disturbed) $(call flag,UNSAFE,--unsafe)
BASELINE_OPTIONS = $(call option,SPACE,--space) $(call option,PRUNER,--pruner) \
	$(call option,WORKERS,--workers) \
	$(if $(ASK_AHEAD),$(if $(call flag,ASK_AHEAD,on),--ask-ahead,--no-ask-ahead))
MODEL_OPTIONS = $(call option,MODEL,--model) $(call option,BASE_URL,--base-url) \
	$(call flag,REHEARSAL,--rehearsal) $(call flag,RECORD,--record) \
	$(call flag,ALLOW_UNPRICED,--allow-unpriced) $(call option,ORPHAN_MINUTES,--orphan-minutes)
METHOD_OPTIONS = $(call option,PROVIDER,--provider) $(call option,INNER,--inner) \
	$(call option,RATIO,--ratio) $(call option,FIRST,--first) $(call option,AS_PUBLISHED,--as-published)

SHARED = $(call option,STORAGE,--storage) $(call option,STUDY,--study)

.DEFAULT_GOAL := help
.PHONY: help setup ready venv demo run baseline space verify retest noise collect analyse import export optuna-dashboard \
	ps top logs \
	stop resume resume-all doctor prove clean-runs images test test-unit test-reports test-extremes test-setup test-docker test-engines \
	lint lock bench-trainer bench-knobs bench-judge bench-gateway bench-analysis \
	bench-survival bench-engine-faults bench-idle bench-lease bench-devices bench-cores bench-baselines \
	bench-start bench-hostile

help: ## show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  budgets (the first one that is spent ends a run): HOURS TRAIN_HOURS TRIALS USD TOKENS TOTAL_USD"
	@echo "  the price of a device, for TOTAL_USD and the comparison: COMPUTE_USD_PER_HOUR"
	@echo "  devices: GPU=0, GPUS=0,1 or CPU_SETS=2"
	@echo "  conditions: SEED TASK DATA TRIAL_SECONDS RETRY_DISTURBED=1 VERIFY=best|kept|none K=3"
	@echo "  a kernel of its own for contestant, trials and judge: RUNTIME=runsc (docs/engines.md)"
	@echo "  baselines: SPACE=my_space.toml PRUNER=median WORKERS=2 ASK_AHEAD=0|1"
	@echo "  shared studies: STORAGE=postgresql://user@host/database STUDY=name (STORAGE_PASSWORD in .env)"
	@echo "  optimisers with a model: SAMPLER=centaur|llm-knobs|llm-code|llm-space|llambo|llambo-optuna|warm"
	@echo "    MODEL=claude-opus-4-6 PROVIDER=anthropic|openai|google RATIO=0.3 INNER=tpe FIRST=5"
	@echo "    AS_PUBLISHED=automl-2026"
	@echo "  models: MODEL BASE_URL RECORD=1 ORPHAN_MINUTES=10 ALLOW_UNPRICED=1"
	@echo "  how a run is shown: LOG=view (live) | lines | json"
	@echo "  although its lock is not shown to hold: UNSAFE=1 (the run is called unsafe wherever it is shown)"
	@echo "  without a key: REHEARSAL=1    all other options: $(BAKEOFF) COMMAND --help"

setup: ## make .venv with everything, and check that a Docker engine runs
	@scripts/setup dev
	@scripts/engine

ready:
	@scripts/setup run
	@scripts/engine

venv:
	@scripts/setup run

demo: ready ## a rehearsed agent and a baseline in ten minutes, without a key
	@$(LOGGED) demo $(call flag,UNSAFE,--unsafe)

run: ready ## an agent's run: AGENT=opus|opus-1m|sonnet|gpt|gemini SEED=1
	@$(LOGGED) run $(call quoted,$(AGENT)) $(CONDITIONS) $(MODEL_OPTIONS)

baseline: ready ## an optimiser's run: SAMPLER=random|gp|centaur|… or ./my.py:Factory PRUNER=median SEED=1
	@$(LOGGED) baseline $(call quoted,$(SAMPLER)) $(CONDITIONS) $(BASELINE_OPTIONS) $(SHARED) $(MODEL_OPTIONS) $(METHOD_OPTIONS)

space: venv ## propose a search space to edit: TASK=pystdlib OUT=my_space.toml
	@$(BAKEOFF) space $(call option,TASK,--task) $(call option,TRAIN_PY,--train-py) \
	  $(call option,OUT,--out)

verify: ready ## run a run's best text again as a referee: RUN=gpt-s1 VERIFY=best|kept K=3
	@$(BAKEOFF) verify $(call quoted,$(RUN)) $(call option,VERIFY,--verify) $(call option,K,--verify-seeds)

retest: ready ## train the best texts of finished runs for longer: RUN="gpt-s1 tpe-s1" TIMES=2,4,8
	@$(BAKEOFF) retest $(foreach one,$(RUN),$(call quoted,$(one))) $(call option,TIMES,--times) $(call option,N,--seeds)

noise: ready ## measure the noise of a task over N training seeds: TASK=pystdlib N=10
	@$(BAKEOFF) noise $(call option,TASK,--task) $(call option,N,--seeds) $(call option,DATA,--data) \
	  $(call option,TRIAL_SECONDS,--trial-seconds) $(call option,GPU,--gpu) \
	  $(call option,CPU_SETS,--cpu-sets) $(call option,RUNTIME,--runtime)

collect: venv ## compare all runs: results/*.csv and results/summary.md
	@$(BAKEOFF) collect $(call option,COMPUTE_USD_PER_HOUR,--compute-usd-per-hour)

import: ## bring in results made elsewhere: FROM=path AS=name METRIC=val_bpb DIRECTION=min|max
	@scripts/setup analysis
	@$(BAKEOFF) import $(call quoted,$(FROM)) $(call option,AS,--as) $(call option,METRIC,--metric) \
	  $(call option,DIRECTION,--direction) $(call option,CONTESTANT,--contestant) \
	  $(call option,TASK,--task)

analyse: ## figures, tables and findings: RUNS="runs/a-s1 …" OUT= COMPUTE_USD_PER_HOUR= TARGET=
	@scripts/setup analysis
	@$(BAKEOFF) analyse $(foreach path,$(RUNS),$(call quoted,$(path))) $(call option,OUT,--out) \
	  $(call option,DOLLARS_PER_HOUR,--compute-usd-per-hour) \
	  $(call option,COMPUTE_USD_PER_HOUR,--compute-usd-per-hour) $(call option,TARGET,--target)

export: ## write a baseline's study as Optuna's table: RUN=tpe-s1
	@scripts/setup analysis
	@$(BAKEOFF) export $(call quoted,$(RUN))

optuna-dashboard: ## look at a study in Optuna's dashboard: RUN=tpe-s1 or STORAGE=postgresql://…; PORT=8081
	@scripts/setup analysis
	@$(BAKEOFF) optuna-dashboard $(if $(RUN),$(call quoted,$(RUN))) $(call option,STORAGE,--storage) $(call option,PORT,--port)

ps: venv ## list runs with their budgets, and every container and volume of Bakeoff
	@$(BAKEOFF) ps

top: venv ## watch all runs that run now, live; RUN=gpt-s1: one run
	@$(BAKEOFF) watch $(if $(RUN),$(call quoted,$(RUN)))

logs: venv ## follow a run: RUN=gpt-s1
	@$(BAKEOFF) logs $(call quoted,$(RUN))

stop: venv ## end a run in an orderly way: RUN=gpt-s1
	@$(BAKEOFF) stop $(call quoted,$(RUN))

resume: ready ## continue a run that is suspended, or whose runner died: RUN=gpt-s1
	@$(LOGGED) resume $(call quoted,$(RUN)) $(call flag,UNSAFE,--unsafe)

resume-all: ready ## continue every run that has no result and no runner, also suspended ones
	@$(BAKEOFF) resume-all

doctor: venv ## check this machine; nothing is started
	@$(BAKEOFF) doctor

prove: images ## try to break out of containers like a run's: PART=quick|all ROLE=trial RUNTIME=
	@$(BAKEOFF) prove $(call option,PART,--part) $(call option,ROLE,--role) $(call option,RUNTIME,--runtime)

clean-runs: venv ## remove finished runs from the engine; DATA=1: data too; RUN=gpt-s1: its results too
	@$(BAKEOFF) clean-runs $(if $(RUN),$(call quoted,$(RUN))) $(if $(filter 1,$(DATA)),--data)

images: ready ## build the images whose inputs changed
	@$(BAKEOFF) images

test: setup lint test-unit test-reports test-extremes test-setup test-docker ## set up, then run all checks and tests

test-unit:  ## tests that need no engine
	@scripts/setup dev
	@$(PYTEST) -n auto tests/unit

test-reports: ## tests of all reports of the analysis together, on runs of every kind
	@scripts/setup dev
	@$(PYTEST) -n auto tests/reports

test-extremes: ## tests with the longest and oddest texts, and with terminals of all kinds
	@scripts/setup dev
	@$(PYTEST) -n auto tests/extremes

test-setup: ## tests of the set-up, on machines of all kinds and in a later year
	@scripts/setup dev
	@$(PYTEST) -n 2 tests/setup

test-docker: setup images ## tests that use the engine
	@$(PYTEST) -m alone tests/docker
	@$(PYTEST) -n 3 --dist loadscope --no-loadscope-reorder -m "not alone" tests/docker

test-engines: setup images ## tests on gVisor and Podman, as root on Debian or Ubuntu: ENGINES="gvisor podman"
	@.venv/bin/python scripts/test-engines $(ENGINES)

lock: ## choose the versions of all packages again: WHAT=gateway, UPGRADE=1
	@scripts/setup dev
	@.venv/bin/python scripts/lock $(WHAT) $(call flag,UPGRADE,--upgrade)

lint: ## run ruff, mypy and the check of the import layers
	@scripts/setup dev
	@scripts/lint

bench-trainer: ready ## measure the trainer's speed; prints the table of docs/performance.md
	@scripts/setup dev
	@.venv/bin/python -m benchmarks.trainer

bench-knobs: ready ## check that better knobs win by more than the noise: nine trials of a minute
	@scripts/setup dev
	@.venv/bin/python -m benchmarks.trainer.knobs

bench-judge: ready ## measure what a score and its audit cost, and how small a leak is seen
	@scripts/setup dev
	@.venv/bin/python -m benchmarks.judge

bench-gateway: ready ## measure the gateway beside its peers: SYSTEMS=gateway,portkey,litellm
	@scripts/setup dev
	@.venv/bin/python -m benchmarks.gateway $(call option,SYSTEMS,--systems)

bench-survival: ready ## measure what runs survive: every fault in turn on an agent and a baseline
	@scripts/setup dev
	@.venv/bin/python -m benchmarks.survival

bench-engine-faults: ready ## measure what runs survive of their engine: restarts, a full disk, no memory
	@scripts/setup dev
	@.venv/bin/python -m benchmarks.survival.engine_faults

bench-idle: ready ## measure what ten runs cost that wait for a device
	@scripts/setup dev
	@.venv/bin/python -m benchmarks.survival.idle

bench-lease: ## measure how soon the next in the queue has a device
	@scripts/setup dev
	@.venv/bin/python -m benchmarks.survival.lease

bench-devices: ## measure how busy devices are, and how fairly runs share them
	@scripts/setup dev
	@.venv/bin/python -m benchmarks.survival.devices

bench-cores: ready ## measure what it gains and costs to divide the cores
	@scripts/setup dev
	@.venv/bin/python -m benchmarks.trainer.cores

bench-baselines: ready ## measure what samplers cost and find: SAMPLERS="tpe gp" PARTS="time found"
	@scripts/setup dev
	@.venv/bin/python -m benchmarks.baselines $(if $(SAMPLERS),--samplers $(SAMPLERS)) \
	  $(if $(PARTS),--parts $(PARTS))

bench-start: ready ## measure the time from a run's start to its first request of a model: N=5
	@scripts/setup dev
	@.venv/bin/python -m benchmarks.start $(call option,N,--runs)

bench-analysis: ## measure the tables and the whole analysis of 10,469 made-up trials in 60 runs
	@scripts/setup analysis
	@.venv/bin/python -m benchmarks.analysis

bench-hostile: ## read 100,000 hostile archives, names and files
	@scripts/setup dev
	@.venv/bin/python -m benchmarks.hostile
