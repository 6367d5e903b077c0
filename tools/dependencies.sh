#!/usr/bin/env bash
# Installs the Debian packages that are missing for what is named: build, python, test, mpi, fuzz, bench, reproduce. Quiet, and at
# once done when everything is there. Usage: tools/dependencies.sh build test
set -euo pipefail

declare -A packages=(
  [build]="g++ cmake ninja-build ccache mold libcli11-dev nlohmann-json3-dev libfmt-dev libxxhash-dev zlib1g-dev libpng-dev libturbojpeg0-dev libdnnl-dev libtomlplusplus-dev libprotobuf-dev protobuf-compiler libjs-chart.js libcpp-httplib-dev pkgconf"
  [test]="libgtest-dev libgmock-dev librapidcheck-dev clang-format clang-tidy libomp-dev shellcheck python3 python3-torch python3-matplotlib python3-pandas python3-nbclient python3-ipykernel chromium"
  [python]="python3-dev python3-numpy pybind11-dev"
  [mpi]="libopenmpi-dev openmpi-bin iproute2"
  [fuzz]="clang libclang-rt-14-dev llvm"
  [reproduce]="python3 python3-matplotlib"
  [bench]="python3 python3-torch libopenblas0-pthread"
)

missing=()
for set in "$@"; do
  for package in ${packages[$set]:?"unknown set of packages: $set"}; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' || missing+=("$package")
  done
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "not root and no sudo; please install: ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi
echo "installing ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" >>"$log" 2>&1; }
if ! { apt update && apt install -y --no-install-recommends "${missing[@]}"; }; then
  tail -n 20 "$log" >&2
  echo "apt-get could not install: ${missing[*]}" >&2
  exit 1
fi
