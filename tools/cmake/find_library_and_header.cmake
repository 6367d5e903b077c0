# find_library_and_header(PACKAGE HEADER header VERSION_HEADER header MACRO_PREFIX prefix NAMES library… [HINTS folder…])
# is the body of a find-module: it looks for header and library, reads the version from macros such as
# PREFIX_MAJOR, PREFIX_MINOR, PREFIX_PATCH, and defines PACKAGE_FOUND, PACKAGE_VERSION and the target PACKAGE::PACKAGE.
# PACKAGE_ROOT, as a variable or in the environment, is looked into first.
include(FindPackageHandleStandardArgs)

macro(find_library_and_header package)
  cmake_parse_arguments(_find "" "HEADER;VERSION_HEADER;MACRO_PREFIX" "NAMES;HINTS" ${ARGN})
  set(_hints ${${package}_ROOT} $ENV{${package}_ROOT} ${_find_HINTS})
  find_path(${package}_INCLUDE_DIR ${_find_HEADER} HINTS ${_hints} PATH_SUFFIXES include)
  find_library(${package}_LIBRARY NAMES ${_find_NAMES} NAMES_PER_DIR HINTS ${_hints} PATH_SUFFIXES lib64 lib)
  if(${package}_INCLUDE_DIR)
    file(STRINGS ${${package}_INCLUDE_DIR}/${_find_VERSION_HEADER} _lines
         REGEX "#define ${_find_MACRO_PREFIX}_(MAJOR|MINOR|PATCHLEVEL|PATCH) ")
    string(REGEX REPLACE "[^0-9;]" "" _numbers "${_lines}")
    list(JOIN _numbers "." ${package}_VERSION)
  endif()
  find_package_handle_standard_args(${package} REQUIRED_VARS ${package}_LIBRARY ${package}_INCLUDE_DIR
                                    VERSION_VAR ${package}_VERSION)
  if(${package}_FOUND AND NOT TARGET ${package}::${package})
    add_library(${package}::${package} UNKNOWN IMPORTED)
    set_target_properties(${package}::${package} PROPERTIES IMPORTED_LOCATION ${${package}_LIBRARY}
      INTERFACE_INCLUDE_DIRECTORIES ${${package}_INCLUDE_DIR})
  endif()
  mark_as_advanced(${package}_INCLUDE_DIR ${package}_LIBRARY)
endmacro()

# Where a package of NVIDIA may lie besides the system's folders: in the toolkit, or in a wheel that python3 sees
# (site-packages/nvidia/NAME), which carries only the library of the versioned name.
macro(nvidia_hints name result)
  set(${result} ${CUDAToolkit_TARGET_DIR} ${CUDAToolkit_LIBRARY_ROOT})
  find_program(TARDIGRAD_PYTHON3 python3)
  mark_as_advanced(TARDIGRAD_PYTHON3)
  if(TARDIGRAD_PYTHON3)
    execute_process(COMMAND ${TARDIGRAD_PYTHON3} -c "import nvidia; print(*nvidia.__path__, sep=';')"
                    OUTPUT_VARIABLE _wheels OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    list(TRANSFORM _wheels APPEND /${name})
    list(APPEND ${result} ${_wheels})
  endif()
endmacro()
