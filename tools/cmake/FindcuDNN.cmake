# Finds cuDNN beside the CUDA toolkit, in the system, or inside Python wheels (site-packages/nvidia/cudnn).
# Defines cuDNN::cuDNN and cuDNN_VERSION. A hint may be given in cuDNN_ROOT.
file(GLOB _wheels "/usr/lib/python3*/*-packages/nvidia/cudnn" "/usr/local/lib/python3*/*-packages/nvidia/cudnn"
     "$ENV{HOME}/.local/lib/python3*/site-packages/nvidia/cudnn" "$ENV{VIRTUAL_ENV}/lib/python3*/site-packages/nvidia/cudnn")
set(_hints ${cuDNN_ROOT} $ENV{cuDNN_ROOT} ${CUDAToolkit_TARGET_DIR} ${CUDAToolkit_LIBRARY_ROOT} ${_wheels})
find_path(cuDNN_INCLUDE_DIR cudnn.h HINTS ${CUDAToolkit_INCLUDE_DIRS} ${_hints} PATH_SUFFIXES include)
# Wheels carry only the versioned file.
find_library(cuDNN_LIBRARY NAMES cudnn libcudnn.so.9 libcudnn.so.8 HINTS ${CUDAToolkit_LIBRARY_DIR} ${_hints} PATH_SUFFIXES lib64 lib)
if(cuDNN_INCLUDE_DIR)
  file(STRINGS ${cuDNN_INCLUDE_DIR}/cudnn_version.h _lines REGEX "#define CUDNN_(MAJOR|MINOR|PATCHLEVEL|PATCH) ")
  string(REGEX REPLACE "[^0-9;]" "" _numbers "${_lines}")
  list(JOIN _numbers "." cuDNN_VERSION)
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(cuDNN REQUIRED_VARS cuDNN_LIBRARY cuDNN_INCLUDE_DIR VERSION_VAR cuDNN_VERSION)
if(cuDNN_FOUND AND NOT TARGET cuDNN::cuDNN)
  add_library(cuDNN::cuDNN UNKNOWN IMPORTED)
  set_target_properties(cuDNN::cuDNN PROPERTIES IMPORTED_LOCATION ${cuDNN_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${cuDNN_INCLUDE_DIR})
endif()
mark_as_advanced(cuDNN_INCLUDE_DIR cuDNN_LIBRARY)
