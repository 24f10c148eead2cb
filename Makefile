# crm-access-operator: `make help` lists what can be made. What a target needs and is missing, it builds or installs.

SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
BIN := $(CURDIR)/bin
# Packages built or tested at the same time: API servers and databases start beside the tests.
PARALLEL ?= 2
FUZZTIME ?= 20s
BENCHTIME ?= 1s
# How many random questions make soak asks of each path.
QUESTIONS ?= 1000000
# Of the mutants, those whose file and rule match this.
ONLY ?=

GO_BUILD = CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$(VERSION)"
GO_TEST = go test -p $(PARALLEL) -timeout 30m
# Packages with goroutines of their own, where the race detector pays.
RACE_PACKAGES := ./internal/... ./controllers/...

# A control plane that is already here (KUBEBUILDER_ASSETS) wins over building one.
OWN_CONTROLPLANE := $(if $(KUBEBUILDER_ASSETS),,yes)
override KUBEBUILDER_ASSETS := $(abspath $(or $(KUBEBUILDER_ASSETS),$(BIN)/controlplane))
export KUBEBUILDER_ASSETS
KUBECTL = $(KUBEBUILDER_ASSETS)/kubectl

##@ Everyday

.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## "; print "usage: make TARGET" } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z0-9-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: run
run: controlplane build ## Start the quick start: an API server, the operator and a sample organisation
	go run ./hack/quickstart

.PHONY: build
build: ## Build bin/manager, bin/decider and bin/kubectl-crmaccess
	$(GO_BUILD) -o $(BIN)/ ./cmd/manager ./cmd/decider ./cmd/kubectl-crmaccess

.PHONY: test
test: test-race test-rest test-witnesses ## Run all tests against a real API server and a real PostgreSQL

.PHONY: test-race
test-race: controlplane postgres
	$(GO_TEST) -race $(RACE_PACKAGES)

.PHONY: test-rest
test-rest: controlplane postgres
	$(GO_TEST) $$(comm -23 <(go list ./... | sort) <(go list $(RACE_PACKAGES) | sort))

# A module of its own, where engines that others made answer like ours. -mod=mod: a requirement that moved at the root does
# not stop the test; verify asks for go mod tidy.
.PHONY: test-witnesses
test-witnesses:
	cd test/bench/rivals && $(GO_TEST) -mod=mod ./witness

.PHONY: lint
lint: golangci-lint ## Run the linters (.golangci.yml), which hold the walls between the packages
	$(BIN)/golangci-lint run --allow-parallel-runners

.PHONY: fmt
fmt: golangci-lint ## Format the Go files and sort their imports
	$(BIN)/golangci-lint fmt

.PHONY: clean
clean: ## Delete what was built here, but not the control plane
	rm -f $(BIN)/manager $(BIN)/decider $(BIN)/kubectl-crmaccess $(BIN)/controller-gen $(BIN)/golangci-lint $(BIN)/.*.stamp $(BIN)/*.new
	rm -f cover.out *.test *.prof

##@ Generated files

.PHONY: generate
generate: controller-gen ## Generate the kinds' deep copies
	$(BIN)/controller-gen object paths=./api/...

.PHONY: manifests
manifests: controller-gen ## Generate the CRDs and the operator's ClusterRole from the markers
	$(BIN)/controller-gen crd rbac:roleName=crm-access-operator-manager paths=./api/... paths=./controllers/... \
		output:crd:artifacts:config=config/crd/bases output:rbac:artifacts:config=config/rbac

.PHONY: verify
verify: verify-generated verify-source verify-config lint ## Check everything that needs no server: generated files, format, vet, modules, manifests, lint

.PHONY: verify-generated
verify-generated: controller-gen
	hack/verify-generated.sh $(BIN)/controller-gen

.PHONY: verify-source
verify-source:
	@unformatted=$$(gofmt -l .); \
	if [ -n "$$unformatted" ]; then echo "not formatted (run 'make fmt'):" $$unformatted >&2; exit 1; fi
	go mod tidy -diff
	go vet ./...
	cd test/bench/rivals && go mod tidy -diff && go vet ./...

.PHONY: verify-config
verify-config: controlplane
	@diff <(cd config/crd && ls bases/*.yaml) <(sed -n 's/^- //p' config/crd/kustomization.yaml | sort) || \
		{ echo "config/crd/kustomization.yaml does not list what is in config/crd/bases" >&2; exit 1; }
	@for folder in config/default config/decider config/rbac/tenant $(patsubst %/,%,$(dir $(wildcard config/samples/*/kustomization.yaml))); do \
		echo "$(KUBECTL) kustomize $$folder"; \
		$(KUBECTL) kustomize $$folder >/dev/null; \
	done

##@ Slower

.PHONY: e2e
e2e: controlplane build postgres ## Run the end-to-end tests alone, and say what they do
	$(GO_TEST) ./test/e2e/... -count=1 -v

.PHONY: bench
bench: controlplane postgres ## Run the benchmarks; BENCHTIME=1s a benchmark
	go test -p 1 -timeout 60m -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) $(addsuffix /...,$(wildcard ./internal ./test/bench))

.PHONY: bench-rivals
bench-rivals: ## Time decisions against cedar-go, OPA, casbin and OpenFGA, whose answers are checked first
	cd test/bench/rivals && go test -p 1 -timeout 60m -run '^$$' -bench . -benchtime 1x

.PHONY: fuzz
fuzz: ## Run every fuzz target; FUZZTIME=20s a target
	hack/fuzz.sh $(FUZZTIME)

.PHONY: soak
soak: controlplane postgres ## Ask every path QUESTIONS=1000000 random questions and hold it against the reference
	CRMACCESS_QUESTIONS=$(QUESTIONS) go test -p 1 -count 1 -timeout 12h -run Agree -v \
		$$(grep -rl --include='*_test.go' --exclude-dir=bin 'accesstest\.Questions(' . | xargs -n 1 dirname | sort -u)

.PHONY: mutants
mutants: controlplane postgres ## Take the design's rules out of the code one by one: a test must miss each; ONLY=REGEXP
	go run ./hack/mutants -only '$(ONLY)'

##@ What the others stand on

.PHONY: controlplane
controlplane: ## Build etcd, kube-apiserver, kubectl and kube-controller-manager, once; KUBEBUILDER_ASSETS, where set, wins
	$(if $(OWN_CONTROLPLANE),hack/controlplane/build.sh $(BIN)/controlplane,@echo "control plane: $(KUBEBUILDER_ASSETS)")

.PHONY: postgres
postgres: ## Make sure that PostgreSQL's server programs are installed
	@hack/ensure-postgres.sh >/dev/null

.PHONY: controller-gen
controller-gen:
	@hack/tools/build.sh $@ $(BIN)

.PHONY: golangci-lint
golangci-lint:
	@hack/tools/build.sh $@ $(BIN)
