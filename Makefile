# make drill       the main job: build etcd-drill, rehearse two drills, show what they prove
# make test        everything that must pass
# make scenarios   every scenario, the long ones too
# make scenarios-all-versions   those of other versions of etcd
#
# ETCD_DRILL_RUNTIME=docker makes a missing engine a failure; process asks for none; auto (the default) takes what the host
# has. Wherever an engine is used, scenarios run on plain processes as well.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.NOTPARALLEL:
.DEFAULT_GOAL := help

export ETCD_DRILL_RUNTIME ?= auto

GO       ?= go
BUILD    := build
REPORTS  := $(BUILD)/reports
DRILL    := $(BUILD)/etcd-drill
TALLY    := $(BUILD)/tally

# The version of every tool that is not in go.mod.
GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
ACTIONLINT    := github.com/rhysd/actionlint/cmd/actionlint@v1.7.12

# The packages that run the conformance suite on a real runtime, and the Ginkgo suites; all others have plain tests.
RUNTIMES := /harness/(docker|process)$$
SUITES   := /(scenarios|e2e)(/|$$)

# The Ginkgo program comes from go.mod, so that it always fits the library. No retries, anywhere.
GINKGO := $(GO) run github.com/onsi/ginkgo/v2/ginkgo run --no-color --randomize-all --fail-on-pending --fail-on-empty \
	--trace -v --poll-progress-after=30s --poll-progress-interval=30s --grace-period=60s --output-dir=$(REPORTS)

# Drills at a time. A drill waits more than it computes: for elections, for what must not happen, for the engine.
PROCS ?= 3

.PHONY: help
help: ## this list
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | expand -t 18

.PHONY: build
build: $(DRILL) ## build the program into build/etcd-drill

.PHONY: $(DRILL)
$(DRILL): $(TALLY)
	@$(TALLY) beat "build of etcd-drill" $(GO) build -trimpath -ldflags "-s -w" -o $@ ./cmd/etcd-drill

$(TALLY): $(wildcard .ci/tally/*.go)
	@echo "build tally"; $(GO) build -o $@ ./.ci/tally

IMAGE ?= etcd-drill:devel

.PHONY: image
image: ## the program in an image of its own, from scratch
	@rm -rf $(BUILD)/image; mkdir -p $(BUILD)/image/drill/tmp
	@CGO_ENABLED=0 GOOS=linux $(GO) build -trimpath -ldflags "-s -w" -o $(BUILD)/image/etcd-drill ./cmd/etcd-drill
	@docker build --quiet --tag $(IMAGE) .

.PHONY: drill
drill: build ## the main job: two drills of 3 members, from a saved snapshot and from a db copy
	@$(DRILL) run

# What the drill is timed beside: the recovery page typed by hand, and the load that it types.
RUNBOOK ?= bench/runbook.sh
PAIRS   ?= 10

.PHONY: bench-drill
bench-drill: build ## time a drill beside the recovery page typed by hand, in pairs
	@$(GO) build -o $(BUILD)/load ./bench/load
	@$(DRILL) run --source snapshot --keys 100 --keep none >/dev/null
	@$(GO) run ./bench/pairs -drill $(DRILL) -load $(abspath $(BUILD))/load -runbook $(RUNBOOK) -pairs $(PAIRS)

.PHONY: bench-runtimes
bench-runtimes: build ## time a drill on plain processes beside the same one in containers, in pairs
	@$(DRILL) run --runtime docker --source snapshot --keys 100 --keep none >/dev/null
	@$(DRILL) run --runtime process --source snapshot --keys 100 --keep none >/dev/null
	@$(GO) run ./bench/pairs -drill $(DRILL) -runtimes -pairs $(PAIRS)

.PHONY: bench-child
bench-child: ## time a restore in a worker process beside the same one in-process, in turn
	@$(GO) test ./recovery/offline -run '^$$' -bench RestoreInAChild -benchtime 20x -count 3

# Where restores are timed, and on how much. /dev/shm is tmpfs; a folder on a disk tells something about the disk.
BENCH_DIR ?= /dev/shm
BENCH_MIB ?= 1500
ROUNDS    ?= 7

.PHONY: bench-restore
bench-restore: ## time a restore of three members beside three etcdutl, parallel and in sequence, and three copies
	@ETCD_DRILL_BENCH_DIR=$(BENCH_DIR) ETCD_DRILL_BENCH_MIB=$(BENCH_MIB) $(GO) test -run '^$$' -bench '^BenchmarkThreeMembers$$' \
		-benchtime $(ROUNDS)x -timeout 60m ./recovery/offline

# Keys of data sets that are read back, and keys that a bare client asks for at a time. With ten million keys, give one pair: a
# client that pages to the end takes minutes.
BENCH_KEYS ?= 10000,100000,1000000
BENCH_PAGE ?= 1000

.PHONY: bench-read
bench-read: ## time the reading back of a keyspace, and its comparison, beside a bare client that turns its pages, in pairs
	@$(GO) build -o $(BUILD)/rates ./bench/rates
	@$(BUILD)/rates read -sizes $(BENCH_KEYS) -page $(BENCH_PAGE) -pairs $(PAIRS) -dir $(BENCH_DIR)

.PHONY: bench-write
bench-write: ## time the load and its ledger beside a bare loop of puts, in pairs
	@$(GO) build -o $(BUILD)/rates ./bench/rates
	@$(BUILD)/rates write -pairs $(PAIRS) -dir $(BENCH_DIR)

# Sizes of databases whose restores are watched. Their data sets are made before and stay in the cache.
BENCH_SIZES ?= 16MiB,256MiB,1GiB
BENCH_ONE    = $(DRILL) bench --runtime process --sizes $(1) --members 3 --count 1 --warm-up 0 --disk m=$(BENCH_DIR)

.PHONY: bench-memory
bench-memory: build ## the memory of a restore of three members, by the size of the database
	@$(GO) build -o $(BUILD)/memory ./bench/memory
	@dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; \
		$(call BENCH_ONE,$(BENCH_SIZES)) --out "$$dir/made.jsonl" >/dev/null 2>&1; \
		$(BUILD)/memory -sizes $(BENCH_SIZES) $(call BENCH_ONE,{}) --out "$$dir/{}.jsonl"

# What the gate is tried on: small, so that ten pairs take some minutes.
GATE_FLAGS ?= --runtime process --sizes 16MiB --members 1,3 --count 5

.PHONY: bench-gate
bench-gate: build ## measure the same thing in pairs, and count what the gate tells of them: none may be worse
	@$(GO) run ./bench/gate -drill $(DRILL) -pairs $(PAIRS) -- $(GATE_FLAGS)

.PHONY: bench-own
bench-own: build ## time the drill of a backup of 1.5 GB beside restoring and starting it by hand, in turns, and its memory
	@$(GO) run ./bench/own -drill $(abspath $(DRILL)) -dir $(BENCH_DIR) -mib $(BENCH_MIB) -rounds $(ROUNDS)

.PHONY: bench-own-keys
bench-own-keys: build ## the memory of the drill of a backup of 10 million small keys, with one member
	@$(GO) run ./bench/own -drill $(abspath $(DRILL)) -dir $(BENCH_DIR) -mib 1520 -value 64 -members 1 -rounds 1 -warm-up 0 -read one -no-hand

.PHONY: bench-report
bench-report: ## how long the page of a drill with 100,000 operations takes to be written
	@$(GO) test ./internal/report -run '^$$' -bench '^BenchmarkPageOf100000Writes$$' -count 5

.PHONY: test
test: fresh-reports vet unit conformance short-scenarios test-scenarios test-e2e ## everything that must pass
	@$(TALLY) sum $(REPORTS)

.PHONY: scenarios
scenarios: fresh-reports all-scenarios all-scenarios-on-processes ## every scenario, the long ones too, on every runtime of this host
	@$(TALLY) sum $(REPORTS)

.PHONY: scenarios-all-versions
scenarios-all-versions: fresh-reports conformance-of-versions version-scenarios ## the scenarios of etcd 3.5, 3.6 and 3.7; VERSION=3.5 for those of one
	@$(TALLY) sum $(REPORTS)

.PHONY: fresh-reports
fresh-reports: $(TALLY)
	@rm -rf $(REPORTS); mkdir -p $(REPORTS)

.PHONY: vet
vet: $(TALLY) ## go vet
	@echo "vet"; $(TALLY) beat vet $(GO) vet ./... ./.ci/tally

.PHONY: unit
unit: $(TALLY) ## tests that need no engine, and the import test
	@echo "unit tests"; mkdir -p $(REPORTS)
	@$(GO) test -json -count=1 -timeout 10m $$($(GO) list ./... | grep -Ev '$(SUITES)|$(RUNTIMES)') ./.ci/tally \
		| $(TALLY) follow $(REPORTS)/unit.jsonl

.PHONY: conformance
conformance: $(TALLY) ## the suite that every runtime must pass, on the runtimes that start real etcd
	@echo "conformance"; mkdir -p $(REPORTS)
	@$(GO) test -json -count=1 -timeout 15m -p 1 $$($(GO) list ./harness/... | grep -E '$(RUNTIMES)') \
		| $(TALLY) follow $(REPORTS)/conformance.jsonl

# Specs that name a version of etcd beside the default, or a pair of them.
VERSION    ?=
OF_DEFAULT := !/^version:/
OF_VERSION  = /^version:$(VERSION)/

.PHONY: short-scenarios
short-scenarios: $(TALLY) ## one scenario of every route; on an engine if there is one
	@echo "scenarios, the short set"; mkdir -p $(REPORTS)
	@$(TALLY) beat scenarios $(GINKGO) --procs=$(PROCS) --label-filter=short --timeout=15m --json-report=scenarios.json \
		--junit-report=scenarios.xml ./scenarios

# Their report says on what scenarios have just run. On plain processes the others need a third of the time, and the engine is
# not what they are about.
RAN_ON_ENGINE = grep -q '"Representation": *"docker"' $(REPORTS)/scenarios.json

.PHONY: test-scenarios
test-scenarios: $(TALLY) ## the scenarios that are not labelled full, on processes
	@echo "scenarios on processes"; mkdir -p $(REPORTS)
	@which='!full && !short'; if $(RAN_ON_ENGINE); then which='!full'; fi; export ETCD_DRILL_RUNTIME=process; \
		$(TALLY) beat scenarios $(GINKGO) --procs=$(PROCS) --label-filter="$$which" --timeout=30m \
		--json-report=processes.json --junit-report=processes.xml ./scenarios

ON_PROCESSES = if $(RAN_ON_ENGINE); then \
	export ETCD_DRILL_RUNTIME=process; $(1); else echo "  they have just run on processes"; fi

.PHONY: all-scenarios
all-scenarios: $(TALLY)
	@echo "all scenarios"; mkdir -p $(REPORTS)
	@$(TALLY) beat scenarios $(GINKGO) --procs=$(PROCS) --keep-going --label-filter='$(OF_DEFAULT)' --timeout=2h \
		--json-report=scenarios.json --junit-report=scenarios.xml ./scenarios

.PHONY: all-scenarios-on-processes
all-scenarios-on-processes: $(TALLY)
	@echo "all scenarios on processes"; mkdir -p $(REPORTS)
	@$(call ON_PROCESSES,$(TALLY) beat scenarios $(GINKGO) --procs=$(PROCS) --keep-going --label-filter='$(OF_DEFAULT)' \
		--timeout=2h --json-report=processes.json --junit-report=processes.xml ./scenarios)

.PHONY: version-scenarios
version-scenarios: $(TALLY)
	@echo "scenarios of other versions"; mkdir -p $(REPORTS)
	@$(TALLY) beat scenarios $(GINKGO) --procs=$(PROCS) --keep-going --label-filter='$(OF_VERSION)' --timeout=2h \
		--json-report=versions.json --junit-report=versions.xml ./scenarios

# What a node of another version runs, and what its etcdutl restores.
ON_VERSIONS := ^(TestProcesses|TestFoldersAndAddresses|TestAProgramRestoresWhatTheLibraryRestores|TestTheDamageTable)$$/^(version|snapshot|db)$$
.PHONY: conformance-of-versions
conformance-of-versions: $(TALLY)
	@echo "conformance of other versions"; mkdir -p $(REPORTS)
	@for version in 3.5 3.6; do \
		ETCD_DRILL_OTHER_VERSION=$$version $(GO) test -json -count=1 -timeout 15m -p 1 -run '$(ON_VERSIONS)' \
			$$($(GO) list ./harness/... | grep -E '$(RUNTIMES)') ./recovery/offline | $(TALLY) follow $(REPORTS)/versions-$$version.jsonl; done

.PHONY: test-e2e
test-e2e: $(TALLY) ## sabotage, the command line, leaks
	@echo "e2e"; mkdir -p $(REPORTS)
	@$(TALLY) beat e2e $(GINKGO) --procs=$(PROCS) --timeout=30m --json-report=e2e.json --junit-report=e2e.xml ./e2e

.PHONY: lint
lint: ## golangci-lint and actionlint
	$(GO) run $(GOLANGCI_LINT) run ./...
	$(GO) run $(ACTIONLINT)
	$(GO) run $(ACTIONLINT) docs/examples/*.yml

.PHONY: clean
clean: ## remove what was built; `etcd-drill clean` removes what dead drills left
	rm -rf $(BUILD)
