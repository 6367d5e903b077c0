#!/usr/bin/env bash
# Builds, tests and measures everything on a GPU and ends with one table. For a bare machine: needs a C++ compiler, nvcc,
# cuDNN and NCCL (in the toolkit, the system or Python's packages), CMake, make or ninja, and Python 3; no internet, no
# package manager. Takes less than nine minutes on 16 cores, or --budget SECONDS.
#   tools/gpu_check.sh --pack [--with-data] [--prebuilt 90]
#                                             before, on Debian with the project's packages (tools/dependencies.sh build
#                                             test): collects the libraries that a bare machine lacks in
#                                             build-gpu-dependencies/ (--with-data: and Fashion-MNIST, 30 MB), which
#                                             travels with the working tree and is used where it is found. --prebuilt:
#                                             the programs instead, built here for GPUs of that compute capability, so
#                                             that the other machine builds nothing
#   tools/gpu_check.sh [--out DIR] [--only STAGE,…] [--budget SECONDS] [--commit NAME]
# DIR (build-gpu/check) gets table.txt, results.json (GPU, versions, date, commit, stages, measurements: what belongs into
# tools/bench/results/), log.txt, and logs/ with a file for each stage; all is there as soon as a stage ends. Stages come
# in the order of their value, and one that no longer fits into the budget is left out. --commit: how to call this version
# where git can't say. A stage that fails stops no other. Exit code 0: nothing failed; 1: something did; 2: bad usage; 77:
# nothing failed, but without a GPU there was only the build to check. A goal that a measurement misses is shown, and is no
# failure.
set -euo pipefail
cd "$(dirname "$0")/.."
case "$*" in
  --pack*) exec tools/gpu_check/pack.sh build-gpu-dependencies "${@:2}" ;;
  --help) sed -n '2,/^set/s/^# \?//p' "$0" ;;
  *) exec "${PYTHON:-python3}" tools/gpu_check/check.py "$@" ;;
esac
