include(find_library_and_header)
nvidia_hints(nccl _nccl_hints)
find_library_and_header(NCCL HEADER nccl.h VERSION_HEADER nccl.h MACRO_PREFIX NCCL NAMES nccl libnccl.so.2
                        HINTS ${_nccl_hints})
