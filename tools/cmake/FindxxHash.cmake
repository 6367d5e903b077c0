include(find_library_and_header)
find_library_and_header(xxHash HEADER xxhash.h VERSION_HEADER xxhash.h MACRO_PREFIX XXH_VERSION NAMES xxhash)
