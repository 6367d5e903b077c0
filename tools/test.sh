#!/usr/bin/env bash
# Sets up what is missing, builds, and runs every test.
#   --sanitize thread|address   build and run with that sanitizer instead, in a folder of its own (GPUs emulated)
#   anything else               goes to ctest, e.g. -R coordinator
set -euo pipefail
cd "$(dirname "$0")/.."

folder=build
options=()
if [ "${1:-}" = --sanitize ]; then
  kind=${2:?"--sanitize: expected thread or address"}
  shift 2
  folder=build-$kind
  # A test asks for more memory than there is; the sanitizer is to answer as malloc would.
  export TSAN_OPTIONS=allocator_may_return_null=1 ASAN_OPTIONS=allocator_may_return_null=1
  options=(-DTARDIGRAD_SANITIZE="$kind")
  # oneDNN runs on an OpenMP that ThreadSanitizer cannot see into.
  if [ "$kind" = thread ]; then options+=(-DTARDIGRAD_ONEDNN=OFF); fi
fi

tools/dependencies.sh build test
tools/build.sh "$folder" all "${options[@]}"
ctest --no-tests=error --test-dir "$folder" --output-on-failure --parallel "$(nproc)" "$@"
