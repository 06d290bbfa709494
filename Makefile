# `make test` and `make demo` do all of their set-up on a Debian or Ubuntu that has Go and make. `make help` lists the rest.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build

# Not every shell that runs make has Go in its PATH.
export PATH := $(PATH):/usr/local/go/bin

# The program tells its commit, where there is one to tell.
VCS := $(shell git rev-parse HEAD >/dev/null 2>&1 && echo true || echo false)
LINT := .tools/golangci-lint

FUZZ_COUNT ?= 3000
ROWS ?= 4000000
RUNS ?= 3
TESTFLAGS ?=

.PHONY: help
help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: build
build: ## build bin/pgark
	go build -buildvcs=$(VCS) -o bin/pgark ./cmd/pgark

.PHONY: setup
setup: ## install PostgreSQL, its contrib modules and a C compiler if they are missing
	@tools/setup

.PHONY: clients
clients: ## fetch the pg_dump and pg_restore of other releases, for tests
	@tools/clients

# The race detector makes tests two to three times as long, and some that handle much data ten times. These have one goroutine, or do many times, or
# with more data, what others do with it: they do without.
UNRACED := ^TestScripts$$/^(databases|demo|dependencies|dumpall|gpbackup|inserts|redirect|select|sets)$$
UNRACED := $(UNRACED)|^Test(Large|VolumesNothingLeft|VolumesNothingLeftOfRestores)$$
UNRACED := $(UNRACED)|^Test(ClusterBitFlips|ClusterTruncated|EveryBitFlip|FloatsInArchive|SalvageClusterEverywhere|SalvageEvery.*|SetFlips|ShortestIsTheServers)$$
UNRACED := $(UNRACED)|^Test(ClusterScriptOfServer|FlippedBits|Inserts.*|SplitSQLWindow|StockReads.*|Truncated|UnpackDamage|WindowOfLargeStatement)$$
UNRACED := $(UNRACED)|^Test(CopyOutRowsInOneMessage|CopyOutRowSizes|RowsOutRowSizes|RowsOutRowOf100MB|WriteLargestPiece)$$
UNRACED := $(UNRACED)|^TestPlain(.*OfServer|Memory|OfPgRestore|Samples.*|Truncated)$$|^TestIncomplete$$

# One package after the other: each starts servers of its own and keeps all cores busy. Side by side on two cores they took
# several times as long, and write barriers were not had in their time. One test more at once than there are cores, as they wait for servers.
GOTEST := go test -count=1 -p=1 -parallel=$$(( $$(nproc) + 1 )) -timeout=30m

.PHONY: test
test: setup clients lint fuzz ## all checks: lint, fuzz tests, all tests, most with the race detector
	go build -race ./... # side by side, which -p=1 would not
	$(GOTEST) -race -skip '$(UNRACED)' $(TESTFLAGS) ./...
	$(GOTEST) -run '$(UNRACED)' $(TESTFLAGS) ./... # the same packages, so that a name that is skipped above is always run here

.PHONY: test-quick
test-quick: ## tests without the race detector
	go test $(TESTFLAGS) ./...

# PGARK_TEST_GREENPLUM='host=... port=... user=gpadmin dbname=postgres' make test-greenplum
.PHONY: test-greenplum
test-greenplum: ## all routes, kinds of tables and faults on the Greenplum that PGARK_TEST_GREENPLUM names
	@[ -n "$${PGARK_TEST_GREENPLUM:-}" ] || { echo "PGARK_TEST_GREENPLUM must hold the connection string of a Greenplum's coordinator" >&2; exit 2; }
	go test -count=1 -timeout=4h -v -run Greenplum $(TESTFLAGS) ./fanout ./fanout/topology ./verify ./cmd/pgark

.PHONY: lint
lint: $(LINT) ## format and import rules, static checks
	$(LINT) run ./...

# The linter has a module of its own, so that what it needs stays out of the program's dependencies.
$(LINT): tools/go.mod tools/go.sum
	cd tools && go build -buildvcs=false -o ../$(LINT) github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@touch $(LINT)

.PHONY: fmt
fmt: $(LINT) ## format the code
	$(LINT) fmt ./...

.PHONY: fuzz
fuzz: ## each fuzz test, FUZZ_COUNT inputs
	@tools/fuzz $(FUZZ_COUNT)

.PHONY: demo
demo: setup build ## the main job on throw-away servers
	bin/pgark demo

.PHONY: bench
bench: setup build ## compare with psql, pg_dump and pg_restore: ROWS=4000000 RUNS=3
	go run ./bench -pgark bin/pgark -rows $(ROWS) -runs $(RUNS) $(BENCHFLAGS)

.PHONY: bench-scale
bench-scale: needs-root setup build ## routes compared on 2, 4 and 8 nodes behind limited links; only for root
	go build -buildvcs=false -o bin/bench ./bench
	bin/bench scale -pgark bin/pgark $(BENCHFLAGS)

.PHONY: needs-root
needs-root:
	@[ "$$(id -u)" = 0 ] || { echo "only root may make network namespaces: run this as root" >&2; exit 1; }

.PHONY: clean
clean: ## remove what make made
	rm -rf bin .tools
