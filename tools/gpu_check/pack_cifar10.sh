#!/usr/bin/env bash
# Packs CIFAR-10 (tools/fetch_data.sh cifar10) in pieces for a machine that is reached by small transfers only: compressed
# it takes 133 MiB, and no lossless code gets near 60. Copy every piece to the other machine, into the same folder;
# tools/bench/cifar10_accuracy.sh there puts them together and checks them.
#   tools/gpu_check/pack_cifar10.sh [FOLDER [PIECES]]     build-gpu-cifar10, 3
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=${1:-build-gpu-cifar10}
pieces=${2:-3}
found=$(tools/fetch_data.sh cifar10)
mkdir -p "$folder"
rm -f "$folder"/cifar10.xz*
cat "$found"/data_batch_{1..5}.bin "$found/test_batch.bin" | xz -9 --threads=0 >"$folder/cifar10.xz"
split --number="$pieces" --numeric-suffixes=1 --suffix-length=1 --additional-suffix="-of-$pieces" \
  "$folder/cifar10.xz" "$folder/cifar10.xz."
rm "$folder/cifar10.xz"
ls -l "$folder"
