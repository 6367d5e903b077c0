# Debian's own CMake package cannot be used: it asks for OpenCL headers that its development package does not bring.
include(find_library_and_header)
find_library_and_header(oneDNN HEADER oneapi/dnnl/dnnl.hpp VERSION_HEADER oneapi/dnnl/dnnl_version.h
                        MACRO_PREFIX DNNL_VERSION NAMES dnnl)
