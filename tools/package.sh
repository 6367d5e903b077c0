#!/usr/bin/env bash
# Makes a Debian package of the program, its manual pages and the Python package: tools/package.sh [FOLDER]. It is for any
# 64-bit x86 machine with this release of Debian, and for CPUs; with CUDA=ON also for GPUs, where CUDA's libraries are installed.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-build-package}
tools/dependencies.sh build python
tools/build.sh "$folder" "tardigrad tardigrad_python" -DCMAKE_INSTALL_PREFIX=/usr -DTARDIGRAD_NATIVE=OFF -DTARDIGRAD_TESTS=OFF \
  -DTARDIGRAD_BENCHMARKS=OFF -DTARDIGRAD_PYTHON=ON -DTARDIGRAD_CUDA="${CUDA:-OFF}"
(cd "$folder" && cpack -G DEB >package.log) || { cat "$folder/package.log" >&2; exit 1; }
ls "$folder"/*.deb
