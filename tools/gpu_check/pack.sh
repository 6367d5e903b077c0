#!/usr/bin/env bash
# Copies what the build needs besides compilers and CUDA from the Debian packages of this machine (tools/dependencies.sh
# build test installs them) into a folder that serves another machine as CMAKE_PREFIX_PATH: the layout of /usr, headers,
# CMake's files, and libraries as files of their own, no links. Such libraries run where glibc and libstdc++ are at
# least as new as here. Called by tools/gpu_check.sh --pack.
#   tools/gpu_check/pack.sh FOLDER [--with-data] [--prebuilt ARCHITECTURES]
# --with-data: and Fashion-MNIST, gzipped, in FOLDER/data. --prebuilt 90: instead of what a build needs, what it makes, for
# those GPUs and x86-64-v3 processors, in FOLDER/prebuilt: programs and the libraries that they load, but for those of CUDA.
set -euo pipefail
folder=$1
shift
data=
architectures=
# Development packages; the libraries that their links point to come with them. Of zlib the static library will do.
packages=(libfmt-dev nlohmann-json3-dev libtomlplusplus-dev libcli11-dev libxxhash-dev zlib1g-dev libgtest-dev libgmock-dev librapidcheck-dev)

die() { echo "pack.sh: $*" >&2; exit 1; }

usage() { echo "gpu_check.sh: $*" >&2; exit 2; }

while [ $# -gt 0 ]; do
  case $1 in
    --with-data) data=fashion-mnist ;;
    --prebuilt)
      architectures=${2:-}
      [[ $architectures =~ ^[0-9]+(\;[0-9]+)*$ ]] || usage "--prebuilt: expected compute capabilities such as 90 or '80;90', found '$architectures'"
      shift
      ;;
    *) usage "$1: expected --with-data or --prebuilt ARCHITECTURES" ;;
  esac
  shift
done

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

# Builds all programs of a check, and copies them, without what only debuggers read, with their libraries.
pack_programs() {
  local build=build-prebuilt program library
  local -a programs targets
  mapfile -t programs < <(python3 tools/gpu_check/check.py --list-programs)
  mapfile -t targets < <(printf '%s\n' "${programs[@]##*/}")
  tools/build.sh "$build" "${targets[*]}" -DTARDIGRAD_CUDA=ON -DTARDIGRAD_NATIVE=OFF -DTARDIGRAD_ONEDNN=OFF \
    "-DCMAKE_CUDA_ARCHITECTURES=$architectures" -DCMAKE_CXX_FLAGS=-march=x86-64-v3
  for program in "${programs[@]}"; do
    mkdir -p "$folder/prebuilt/${program%/*}"
    strip -o "$folder/prebuilt/$program" "$build/$program"
  done
  mkdir -p "$folder/prebuilt/lib"
  for library in $(cd "$build" && ldd "${programs[@]}" | awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | sort -u); do
    case ${library##*/} in
      libc.* | libm.* | libdl.* | libpthread.* | librt.* | libstdc++.* | libgcc_s.* | libcud* | libnccl* | libnv* | libcublas*) ;;
      *) cp --dereference "$library" "$folder/prebuilt/lib/" ;;
    esac
  done
  printf '%s\n' "$(git rev-parse HEAD)$(git diff --quiet HEAD || echo -dirty)" >"$folder/prebuilt/commit"
  printf '%s\n' "$architectures" >"$folder/prebuilt/architectures"
}

cd "$(dirname "$0")/../.."
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' ||
    die "$package is not installed; tools/dependencies.sh build test installs it"
done
rm -rf "$folder"
if [ -n "$architectures" ]; then
  pack_programs
else
  while IFS= read -r file; do
    if [ -f "$file" ]; then copy "$file"; fi
  done < <(build_files)
fi

# An archive of LTO bytecode could be read by this machine's compiler only.
while IFS= read -r archive; do
  if objdump -h "$archive" 2>/dev/null | grep -q '\.gnu\.lto'; then die "$archive holds LTO bytecode, not machine code"; fi
done < <(find "$folder" -name '*.a')

if [ "$data" = fashion-mnist ]; then
  mkdir -p "$folder/data/fashion-mnist"
  found=$(tools/fetch_data.sh fashion-mnist)
  for file in "$found"/*-ubyte; do gzip -9 --stdout "$file" >"$folder/data/fashion-mnist/${file##*/}.gz"; done
fi
echo "$folder: $(find "$folder" -type f | wc -l) files, $(du -sm "$folder" | cut -f1) MiB"
