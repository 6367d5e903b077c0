#!/usr/bin/env bash
# Sets up what is missing, builds, and runs every test under AddressSanitizer and UndefinedBehaviorSanitizer, those of the
# runtime also under ThreadSanitizer, with emulated GPUs; and those of kernels and the command line on what is really used.
# Where there is a GPU, every test also runs there.
#   --sanitize thread   everything under ThreadSanitizer instead
#   --sanitize none     everything as it is used, on the GPUs that are there
#   anything else       goes to ctest, e.g. -R Coordinator
set -euo pipefail
cd "$(dirname "$0")/.."

kind=address
if [ "${1:-}" = --sanitize ]; then
  kind=${2:?"--sanitize: expected address, thread or none"}
  shift 2
elif nvidia-smi -L >/dev/null 2>&1; then
  tools/test.sh --sanitize none "$@"
fi
tools/dependencies.sh build test

folder=build
if [ "$kind" = none ]; then
  tools/build.sh build all
else
  folder=build-$kind
  options=(-DTARDIGRAD_SANITIZE="$kind" -DTARDIGRAD_BENCHMARKS=OFF)
  # A test asks for more memory than there is; the sanitizer is to answer as malloc would.
  export TSAN_OPTIONS=allocator_may_return_null=1 ASAN_OPTIONS=allocator_may_return_null=1
  # oneDNN runs on an OpenMP that ThreadSanitizer cannot see into.
  if [ "$kind" = thread ]; then options+=(-DTARDIGRAD_ONEDNN=OFF); fi
  if [ "$kind" = address ]; then
    tools/build.sh build tools/all  # the program and the benchmarks
    tools/build.sh build kernels_test
    options+=(-DTARDIGRAD_PLAIN_BUILD="$PWD/build")
  fi
  tools/build.sh "$folder" all "${options[@]}"
fi
ctest --no-tests=error --test-dir "$folder" --output-on-failure --parallel "$(nproc)" "$@"
