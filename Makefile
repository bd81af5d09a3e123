# Everything a developer or CI runs.

CARGO ?= cargo

.PHONY: all test sim sim-teeth crash outage asan loom fuzz model fmt clippy docs example bench prerequisites

all: fmt clippy docs test example

# What the tests need besides Rust, installed where it is missing and where this user may.
# $(call need,COMMAND,PACKAGES,WHY)
define need
	@command -v $(1) >/dev/null 2>&1 || { \
	  if command -v apt-get >/dev/null 2>&1 && [ "$$(id -u)" = 0 ]; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(2) || { \
	      echo "$(1) is missing ($(3)) and apt-get cannot install it (see above): install $(2)"; exit 1; }; \
	  else \
	    echo "$(1) is missing ($(3)) and cannot be installed by this user: install $(2), for example with: sudo apt-get install $(2)"; exit 1; \
	  fi; }
endef

prerequisites:
	$(call need,cc,gcc libc6-dev,SQLite and ring are compiled with it)
	$(call need,redis-server,redis-server,the tests of the Redis store start servers of their own)
	$(call need,openssl,openssl,the tests of rediss:// make certificates with it)

test: prerequisites
	$(CARGO) test --workspace --all-features

# Whole clusters, each on one thread, optimized: SEEDS of each story, or as many as SECS seconds of all stories together allow, or
# what is over first. One of them: QUARK_SIM_SEED=n make sim
SEEDS ?= $(if $(SECS),,200)
SIM := $(CARGO) test --profile sim --all-features --test sim -- --include-ignored --nocapture --test-threads 1
sim: prerequisites
	QUARK_SIM_SEEDS=$(SEEDS) QUARK_SIM_SECS=$(SECS) $(SIM) laws::
	$(SIM) determinism:: speed:: users:: found:: teeth::rules_that_are_broken_are_found_at_once

# Every rule that the simulator's tests break on purpose, and the seed that notices: the table of docs/testing.md.
sim-teeth: prerequisites
	$(CARGO) test --profile sim --all-features --test sim -- --ignored --exact --nocapture teeth::every_rule_that_is_broken_is_found

# Every cell of the crash matrix, of which `make test` runs a part: about ten minutes on two cores. One cell:
# QUARK_TEST_CRASH='Kill Target at commit' make crash
crash: export QUARK_TEST_CRASH ?= all
crash: prerequisites
	$(CARGO) test --all-features --test cluster -- --nocapture matrix

# A Redis that is away for a minute, with the default budgets.
outage: export QUARK_TEST_OUTAGE_SECS ?= 60
outage: prerequisites
	$(CARGO) test --all-features --test cluster -- --nocapture a_redis_that_is_away

# What crosses unsafe code, under AddressSanitizer, with a look for leaks. The sanitizer is a nightly option of a stable compiler
# that brings its runtime along, on this target; RUSTC_BOOTSTRAP is for this build alone, in a folder of its own.
ASAN_TARGET := x86_64-unknown-linux-gnu
ASAN := RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address $(CARGO) test --target $(ASAN_TARGET) --target-dir target/asan

asan: prerequisites
	$(ASAN) --lib -- mailbox:: actor:: runtime::
	$(ASAN) --test silo --test here --test migration

# What threads share on the path of a message, in every order of events: the library's own code, with loom's locks and atomics in
# place of the machine's. The flag goes to this workspace's crates alone, so that everything else is compiled once.
loom: prerequisites
	RUSTC_WORKSPACE_WRAPPER=$(CURDIR)/.ci/rustc-loom $(CARGO) test --lib loom_tests -- --nocapture

# Every decoder, SECONDS each, under AddressSanitizer with the fuzzer's look at which branches were taken. New inputs are
# kept in fuzz/corpus; what fails is in fuzz/artifacts, and is run again by giving it to the target's program.
SECONDS ?= 10
FUZZ_TARGETS := frames frame packages handshake documents records names
FUZZ_LOOK := -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
  -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1

fuzz:
	$(call need,c++,g++ libc6-dev,the fuzzer is compiled with it)
	RUSTC_BOOTSTRAP=1 RUSTFLAGS="--cfg fuzzing -Zsanitizer=address $(FUZZ_LOOK)" $(CARGO) build --release \
	  --manifest-path fuzz/Cargo.toml --target $(ASAN_TARGET) --target-dir target/fuzz
	@for target in $(FUZZ_TARGETS); do \
	  mkdir -p fuzz/corpus/$$target fuzz/artifacts/$$target; \
	  echo "fuzz $$target"; \
	  target/fuzz/$(ASAN_TARGET)/release/$$target -max_total_time=$(SECONDS) -rss_limit_mb=1024 -timeout=5 -max_len=65536 \
	    -print_final_stats=1 -print_funcs=0 -verbosity=0 -artifact_prefix=fuzz/artifacts/$$target/ fuzz/corpus/$$target fuzz/seeds/$$target || exit 1; \
	done

# The protocol, explored in every order of events: minutes. See docs/testing.md.
model: prerequisites
	$(CARGO) test --profile sim --all-features --test model

fmt:
	$(CARGO) fmt --all --check

clippy:
	$(CARGO) clippy --workspace --all-targets --all-features -- -D warnings
	$(CARGO) clippy --lib --no-default-features -- -D warnings

docs:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --all-features

example:
	$(CARGO) run --release --example rolling_upgrade

bench:
	$(CARGO) run --release --manifest-path benches/peers/Cargo.toml
	$(CARGO) run --release --manifest-path benches/wire/Cargo.toml
	$(CARGO) bench --bench moves --bench later
