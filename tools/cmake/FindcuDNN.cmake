include(find_library_and_header)
nvidia_hints(cudnn _cudnn_hints)
find_library_and_header(cuDNN HEADER cudnn.h VERSION_HEADER cudnn_version.h MACRO_PREFIX CUDNN
                        NAMES cudnn libcudnn.so.9 HINTS ${_cudnn_hints})
