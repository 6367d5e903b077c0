#!/usr/bin/env bash
# Sets up what is missing, builds, and runs the tests. tests/README.md says what each form proves.
#   tools/test.sh            every day: all tests under AddressSanitizer and UndefinedBehaviorSanitizer, on emulated GPUs,
#                            with fewer checks and smaller cases than --all
#   tools/test.sh --all      before a large piece of work is done: as it is used, on the GPUs that are there; under these
#                            sanitizers; under ThreadSanitizer; in an order that is shuffled; all sources linted
#   --sanitize KIND          one build of these: quick (that of every day), address, thread or none
#   anything else            goes to ctest, e.g. -R runtime; GTEST_FILTER='Coordinator*' picks cases
set -euo pipefail
cd "$(dirname "$0")/.."

kinds=(quick)
if [ "${1:-}" = --all ]; then
  shift
  kinds=(none address thread)
  export LINT_ALL=1 GTEST_SHUFFLE=1 GTEST_RANDOM_SEED=${GTEST_RANDOM_SEED:-$((RANDOM + 1))}
  echo "in an order shuffled by GTEST_RANDOM_SEED=$GTEST_RANDOM_SEED"
elif [ "${1:-}" = --sanitize ]; then
  kinds=("${2:?"--sanitize: expected quick, address, thread or none"}")
  shift 2
elif nvidia-smi -L >/dev/null 2>&1; then
  kinds=(none quick)
fi
tools/dependencies.sh build python mpi test

# run KIND [argument of ctest...]
run() {
  local folder=build-$1 options=(-DTARDIGRAD_SANITIZE="$1" -DTARDIGRAD_BENCHMARKS=OFF)
  case $1 in
    none) folder=build options=() ;;
    thread) options+=(-DTARDIGRAD_ONEDNN=OFF) ;;  # it runs on an OpenMP that ThreadSanitizer cannot see into
    address) ;;
    quick)
      options=(-DTARDIGRAD_SANITIZE=address -DTARDIGRAD_QUICK=ON -DTARDIGRAD_BENCHMARKS=OFF)
      tools/build.sh build tardigrad_cuda_kernels  # where nvcc is, it compiles every kernel
      ;;
    *) echo "test.sh: --sanitize $1: expected quick, address, thread or none" >&2; exit 2 ;;
  esac
  tools/build.sh "$folder" all "${options[@]}"
  shift
  # One more than there are processors: some tests wait for others' processes and for time-outs.
  ctest --no-tests=error --test-dir "$folder" --output-on-failure --parallel "$(($(nproc) + 1))" "$@"
}
for kind in "${kinds[@]}"; do run "$kind" "$@"; done
