.PHONY: help reference build tools envoy run demo test attack lint docs bench soak boards mutants demo-mutants fuzz audit image-files dist clean

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

build: ## Build the exequatur binary
	cargo build --locked -p exequatur-cli

tools: ## Install the pinned Envoy, an older one, two servers for the store, the tests' authorization server, the example agents, and Prometheus
	@tests/tools/envoy.sh
	@tests/tools/envoy.sh older
	@tests/tools/helm.sh
	@tests/tools/redis.sh
	@tests/tools/redis.sh oldest
	@tests/tools/node.sh
	@tests/tools/clients.sh
	@tests/tools/prometheus.sh

envoy:
	@tests/tools/envoy.sh

run: build envoy ## Start Envoy, Exequatur and an upstream, and print requests to try by hand
	cargo run --locked -q -p exequatur-tests --bin tour -- --stay

demo: build envoy ## Send permitted and hostile requests through Envoy and show what became of each (STORE=redis: with two replicas)
	@[ "$(STORE)" != redis ] || tests/tools/redis.sh >/dev/null
	STORE="$(or $(STORE),embedded)" cargo run --locked -q -p exequatur-tests --bin tour

test: build tools ## Run every test, those through real Envoy too
	cargo test --locked --workspace --doc
	cargo run --locked -q -p exequatur-cli -- policy test policies
	packaging/repeat.py $(or $(CARGO_TARGET_DIR),target)/debug/exequatur
	packaging/trial.py $(or $(CARGO_TARGET_DIR),target)/debug/exequatur
	cd tests/docs && python3 -m unittest -q test_run
	tests/docs/run.py
	if cargo nextest --version >/dev/null 2>&1; then \
		cargo nextest run --locked --workspace; \
	else \
		cargo test --locked --workspace --lib --bins --tests; \
	fi

attack: export ATTACK_MUTANTS ?= 1000000
attack: export ATTACK_WORLDS ?= 100000
attack: ## Change a million permitted requests; compare a hundred thousand random worlds with a model
	cargo test --locked --release -p exequatur-tests --test attack -- --nocapture --test-threads=1

lint: ## Format, clippy, names, packaging, layering, docs/requirements.md, docs/reference/metrics.md, stale patches, the Helm chart, alerts
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	tests/tools/names.sh
	python3 tests/tools/arrows.py
	python3 tests/tools/reasons.py
	tests/tools/demo_mutants.py --check
	tests/docs/site.sh
	tests/docs/links.py
	tests/chart/check.py
	python3 tests/tools/metrics.py
	python3 tests/tools/explanations.py
	python3 tests/alerts/check.py
	tests/tools/clients.sh lint
	packaging/check.py
	python3 tests/tools/dashboards.py --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	python3 tests/tools/requirements.py

docs: ## Build the site of the documentation into target/docs; a link that leads nowhere is an error
	tests/docs/site.sh
	@echo "target/docs/index.html"

reference: build ## Put what the program says of itself (keys, reasons, headers, rules, commands) into docs/reference
	tests/tools/reference.py

bench: envoy ## Measure what decisions cost, against ceilings in the same run; some 14 minutes
	@tests/tools/redis.sh >/dev/null
	cargo build --locked --release -p exequatur-cli -p exequatur-tests --bins
	target/release/bench

soak: envoy ## Load and a fault every half minute, for SOAK_MINUTES (20)
	@tests/tools/redis.sh >/dev/null
	cargo build --locked --release -p exequatur-cli -p exequatur-tests --bins
	target/release/bench soak

boards: envoy ## Scrape replicas with which one thing after another goes wrong; ask and draw every panel, and see which alerts fire (8 minutes)
	@tests/tools/redis.sh >/dev/null
	@tests/tools/node.sh
	cargo build --locked --release -p exequatur-cli -p exequatur-tests --bins
	tests/tools/boards.py target/release/bench

mutants: ## Change the decision path in small ways and see that a test notices (hours; goes on where it was)
	tests/tools/mutants.py

demo-mutants: envoy ## Take out one check after the other and see exactly its row of the tour change (half an hour)
	tests/tools/demo_mutants.py

fuzz: ## Fuzz each parser and the whole decision for FUZZ_SECONDS (600), FUZZ_JOBS (1) at once; needs nightly
	tests/tools/fuzz.py

audit: ## Licences, banned crates and versions, sources and advisories of all dependencies (cargo-deny)
	tests/tools/audit.sh

ARCHITECTURES ?= amd64 arm64
# Everything that is packed gets the time of the commit.
image-files dist: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct)

image-files: ## Compile what is released, in the container that packaging/Containerfile names, into target/image (docker with buildx)
	for architecture in $(ARCHITECTURES); do \
		docker buildx build --platform "linux/$$architecture" --target files --file packaging/Containerfile \
			--build-arg SOURCE_DATE_EPOCH --output "type=local,dest=target/image/$$architecture" . || exit 1; \
		mv "target/image/$$architecture/rootfs-$$architecture.tar" target/image/; \
	done

dist: ## Pack archives, bill of materials and checksums of what image-files compiled into target/dist
	rm -rf target/dist
	packaging/dist.py target/dist $(foreach architecture,$(ARCHITECTURES),$(architecture)=target/image/$(architecture)/exequatur)
	packaging/sums.py target/image $(foreach architecture,$(ARCHITECTURES),$(architecture)=target/image/$(architecture)/exequatur)

clean: ## Remove what was built and installed here
	rm -rf target .tools tests/authorization-server/node_modules examples/clients/typescript/node_modules examples/clients/typescript/dist
