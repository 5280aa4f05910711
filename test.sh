#!/usr/bin/env bash
# Everything that must hold before a change goes in: format, lints, documentation, all tests on both databases, and the
# demo. One profile (release) serves all of it, so that dependencies are built once.
#
#   ./test.sh            everything
#   ./test.sh STEP…      only these: tools format shell licences lints docs tests demo
#
# What is missing comes from Debian's packages when this runs as root; else one sentence says what to install.
set -euo pipefail
cd "$(dirname "$0")"

readonly STEPS=(format shell licences lints docs tests demo)
export CARGO_TERM_COLOR="${CARGO_TERM_COLOR:-auto}" CARGO_NET_RETRY="${CARGO_NET_RETRY:-5}"

main() {
  local wanted=("$@") name
  [ ${#wanted[@]} -gt 0 ] || wanted=("${STEPS[@]}")
  step tools
  if [ ${#FAILED[@]} -eq 0 ]; then
    for name in "${wanted[@]}"; do
      [ "$name" = tools ] || step "$name"
    done
  fi
  echo
  printf '%s\n' "${TIMINGS[@]}"
  if [ ${#FAILED[@]} -gt 0 ]; then
    echo "FAILED: ${FAILED[*]}"
    exit 1
  fi
  echo "All is well, after $((SECONDS / 60)) min $((SECONDS % 60)) s."
}

# --- the steps -------------------------------------------------------------------------------------------------------

step_tools() {
  need_rust
  need_packages
}

step_format() {
  cargo fmt --all --check
}

step_shell() {
  if ! command -v shellcheck >/dev/null; then
    echo "skipped: shellcheck is not installed"
    return 0
  fi
  find . -path ./target -prune -o -path ./.git -prune -o \( -name '*.sh' -o -path ./.ci/run \) -type f -print0 |
    xargs -0 shellcheck
}

step_licences() {
  if ! command -v cargo-deny >/dev/null; then
    echo "skipped: cargo-deny is not installed (deny.toml says what it would check)"
    return 0
  fi
  cargo deny --all-features check bans licenses sources
}

step_lints() {
  cargo clippy --release --all-targets --locked -- -D warnings
}

step_docs() {
  RUSTDOCFLAGS="-D warnings" cargo doc --release --no-deps --locked
}

# nextest where it is installed: it shows each test as it ends, and a hanging one by name.
step_tests() {
  if command -v cargo-nextest >/dev/null; then
    cargo nextest run --release --locked --no-fail-fast && cargo test --release --locked --doc
  else
    cargo test --release --locked --no-fail-fast
  fi
}

# Five nodes that exchange their samples, from nothing, ended when all five hold the same five logs. The program is the one
# that the tests use: `cargo run` would build some twenty dependencies again, without what the tests' dependencies ask of
# them.
step_demo() {
  local folder program status=0
  program=$(cargo test --release --locked --no-run --test it --message-format json 2>/dev/null |
    sed -n 's/.*"executable":"\([^"]*\/kaopu\)".*/\1/p' | tail -n1)
  folder=$(mktemp -d)
  "${program:?the program is not built}" demo "$folder/demo" --exit || status=$?
  rm -rf "$folder"
  return "$status"
}

# --- running a step --------------------------------------------------------------------------------------------------

TIMINGS=()
FAILED=()

# A step runs in a shell of its own, so that its first failing command ends it (bash ignores `set -e` under `if`).
step() {
  local name=$1 begun=$SECONDS status=0
  declare -F "step_$name" >/dev/null || { echo "there is no step '$name': ${STEPS[*]}" >&2; exit 2; }
  echo
  echo "=== $name"
  set +e
  (set -e; "step_$name")
  status=$?
  set -e
  [ "$status" -eq 0 ] || FAILED+=("$name")
  TIMINGS+=("$(printf '%-9s %5d s  %s' "$name" $((SECONDS - begun)) "$([ "$status" -eq 0 ] && echo ok || echo FAILED)")")
}

# --- what must be there ----------------------------------------------------------------------------------------------

need_rust() {
  local wanted have
  command -v cargo >/dev/null || fail "Install Rust first: https://rustup.rs (or your distribution's rustc and cargo)."
  wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
  have=$(rustc --version | cut -d' ' -f2)
  [ "$(printf '%s\n%s\n' "$wanted" "$have" | sort -V | head -n1)" = "$wanted" ] ||
    fail "Rust $wanted or newer is needed, this is $have: run 'rustup update stable'."
  if ! { cargo fmt --version && cargo clippy --version; } >/dev/null 2>&1; then
    rustup component add rustfmt clippy || fail "rustfmt and clippy are missing: install them beside your cargo."
  fi
  echo "rust $have"
}

# A C compiler for SQLite, zstd and aws-lc; perl and make for the OpenSSL that josekit builds; PostgreSQL and a
# software token (SoftHSM2, with pkcs11-tool to make keys on it) for the tests.
need_packages() {
  local missing=()
  command -v cc >/dev/null || missing+=(gcc libc6-dev)
  command -v make >/dev/null || missing+=(make)
  perl -MFindBin -MIPC::Cmd -e1 >/dev/null 2>&1 || missing+=(perl)
  find_postgres || missing+=(postgresql)
  command -v softhsm2-util >/dev/null || missing+=(softhsm2)
  command -v pkcs11-tool >/dev/null || missing+=(opensc)
  [ ${#missing[@]} -eq 0 ] || install "${missing[@]}"
  find_postgres || fail "PostgreSQL's initdb is nowhere to be found: install the package postgresql."
  echo "postgresql in $POSTGRES_BIN"
}

find_postgres() {
  local folder
  POSTGRES_BIN=$(dirname "$(command -v initdb || echo /nowhere/initdb)")
  while read -r folder; do
    [ -x "$folder/initdb" ] && POSTGRES_BIN=$folder
  done < <(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V)
  [ -x "$POSTGRES_BIN/initdb" ]
}

# Debian's PostgreSQL would make and start a cluster at once; the tests bring their own, so it is told not to.
install() {
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    fail "Install these first (their names in Debian): $*. For instance: sudo apt-get install $*"
  fi
  export DEBIAN_FRONTEND=noninteractive
  if [[ " $* " == *" postgresql "* ]]; then
    mkdir -p /etc/postgresql-common/createcluster.d
    echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/no-main-cluster.conf
  fi
  echo "installing $*"
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

fail() {
  echo "$*" >&2
  exit 1
}

main "$@"
