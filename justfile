# The verbs of this project. `just` lists them.

_list:
    @just --list

# Format, lints and tests, quickly, in the development profile
check:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings
    cargo test

# Rewrite what is generated from the sources: snapshots and docs/errors
bless:
    BLESS=1 INSTA_UPDATE=always cargo test

# The whole journey on simulated laboratory and Cliniko
demo:
    cargo run --release -- demo

# The figures of docs/promises.md and of the decision records
bench:
    cargo bench --bench '*'

# Licences, sources and banned crates; needs cargo-deny
deny:
    cargo deny check bans licenses sources

# Exactly what continuous integration runs
ci:
    bash .ci/run
