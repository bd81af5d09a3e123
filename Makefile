# Everything a developer or CI runs.

CARGO ?= cargo

.PHONY: all test model fmt clippy docs example bench prerequisites

all: fmt clippy docs test example

# What the tests need besides Rust, installed where it is missing and where this user may.
prerequisites:
	@command -v cc >/dev/null 2>&1 || { \
	  if command -v apt-get >/dev/null 2>&1 && [ "$$(id -u)" = 0 ]; then \
	    apt-get update -qq && apt-get install -y -qq gcc libc6-dev; \
	  else \
	    echo "a C compiler is missing (SQLite and ring need one) and cannot be installed by this user: install gcc"; exit 1; \
	  fi; }

test: prerequisites
	$(CARGO) test --workspace --all-features

# The protocol, explored in every order of events: minutes. See docs/testing.md.
model: prerequisites
	$(CARGO) test --profile model --test model

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
