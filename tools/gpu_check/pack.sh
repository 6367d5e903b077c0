#!/usr/bin/env bash
# Copies what the build needs besides compilers and CUDA from the Debian packages of this machine (tools/dependencies.sh
# build test installs them) into a folder that serves another machine as CMAKE_PREFIX_PATH: the layout of /usr, headers,
# CMake's files, and libraries as files of their own, no links. Such libraries run where glibc and libstdc++ are at
# least as new as here. Called by tools/gpu_check.sh --pack.
#   tools/gpu_check/pack.sh FOLDER [fashion-mnist]     with the data set, gzipped, in FOLDER/data
set -euo pipefail
folder=$1
data=${2:-}
# Development packages; the libraries that their links point to come with them. Of zlib the static library will do.
packages=(libfmt-dev nlohmann-json3-dev libtomlplusplus-dev libcli11-dev libxxhash-dev zlib1g-dev libgtest-dev libgmock-dev librapidcheck-dev)

die() { echo "pack.sh: $*" >&2; exit 1; }

# Prints the files of the packages that a build reads.
build_files() {
  dpkg -L "${packages[@]}" | grep -E '^/usr/(include/|lib/.*\.(a|so|cmake)$|share/cmake/)' | grep -v '/libz\.so$' | sort -u
}

# copy PATH: to the same place below the folder instead of /usr; a library also under the names that it is linked by
# and loaded by.
copy() {
  local source target name
  source=$(readlink --canonicalize-existing "$1")
  target=$folder/${1#/usr/}
  mkdir -p "${target%/*}"
  cp "$source" "$target"
  if [[ $1 == *.so ]]; then
    name=$(objdump -p "$source" | awk '$1 == "SONAME" { print $2 }')
    cp "$source" "${target%/*}/$name"
    cp "$source" "${target%/*}/${source##*/}"
  fi
}

for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' ||
    die "$package is not installed; tools/dependencies.sh build test installs it"
done
rm -rf "$folder"
while IFS= read -r file; do
  if [ -f "$file" ]; then copy "$file"; fi
done < <(build_files)

# An archive of LTO bytecode could be read by this machine's compiler only.
while IFS= read -r archive; do
  if objdump -h "$archive" 2>/dev/null | grep -q '\.gnu\.lto'; then die "$archive holds LTO bytecode, not machine code"; fi
done < <(find "$folder" -name '*.a')

if [ "$data" = fashion-mnist ]; then
  mkdir -p "$folder/data/fashion-mnist"
  found=$("$(dirname "$0")/../fetch_data.sh" fashion-mnist)
  for file in "$found"/*-ubyte; do gzip -9 --stdout "$file" >"$folder/data/fashion-mnist/${file##*/}.gz"; done
elif [ -n "$data" ]; then
  die "expected fashion-mnist as the data set, got '$data'"
fi
echo "$folder: $(find "$folder" -type f | wc -l) files, $(du -sm "$folder" | cut -f1) MiB"
