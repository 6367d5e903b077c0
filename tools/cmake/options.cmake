# Language level, warnings and the CUDA toolkit, as interface targets: tardigrad::options, which every folder links, and
# with CUDA tardigrad::cuda_headers, which is all that C++ sources need, and tardigrad::cuda_libraries, which only
# programs link, as a part of tardigrad::gpu (kernels/CMakeLists.txt).
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
# Sources are compiled ten at a time, which takes half the time of one by one (-DCMAKE_UNITY_BUILD=OFF); where speed of the
# program is no matter twenty.
if(NOT DEFINED CMAKE_UNITY_BUILD)
  set(CMAKE_UNITY_BUILD ON)
endif()
set(CMAKE_UNITY_BUILD_BATCH_SIZE 10)
if(TARDIGRAD_SANITIZE)
  set(CMAKE_UNITY_BUILD_BATCH_SIZE 20)
endif()
find_package(Threads REQUIRED)

# All that is missing in one line, instead of CMake's page on the first of them.
set(missing "")
foreach(package fmt nlohmann_json tomlplusplus CLI11 ZLIB xxHash)
  find_package(${package} QUIET)
  if(NOT ${package}_FOUND)
    list(APPEND missing ${package})
  endif()
endforeach()
if(missing)
  list(JOIN missing ", " missing)
  message(FATAL_ERROR "tardigrad: not found: ${missing}; tools/dependencies.sh build installs them on Debian, "
                      "tools/gpu_check.sh --pack there brings them to a machine without packages")
endif()

find_package(Protobuf CONFIG QUIET)  # new ones say themselves what they are linked with
if(NOT Protobuf_FOUND)
  find_package(Protobuf MODULE QUIET)
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  # With a precompiled header (tests) ccache must be told that macros of dates don't matter.
  set(CMAKE_CXX_COMPILER_LAUNCHER env CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE_PROGRAM})
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()
find_program(MOLD_PROGRAM mold)
if(MOLD_PROGRAM)
  add_link_options(-fuse-ld=mold)
endif()

add_library(tardigrad_options INTERFACE)
add_library(tardigrad::options ALIAS tardigrad_options)
target_include_directories(tardigrad_options INTERFACE ${PROJECT_SOURCE_DIR})
target_link_libraries(tardigrad_options INTERFACE Threads::Threads)
set(warnings -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wdouble-promotion)
set(cuda_warnings "")
if(TARDIGRAD_WARNINGS_AS_ERRORS)
  list(APPEND warnings -Werror)
  set(cuda_warnings -Werror=all-warnings)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # False alarms of g++ 12 in std::string's operator+ and in fmt::join (GCC bugs 105651 and 105329).
  list(APPEND warnings -Wno-restrict -Wno-stringop-overflow)
endif()
if(CMAKE_UNITY_BUILD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  list(APPEND warnings -Wno-subobject-linkage)  # it takes sources that are included for headers
elseif(CMAKE_UNITY_BUILD)
  list(APPEND warnings -Wno-shadow)  # clang minds names that another source has for itself
endif()
if(TARDIGRAD_SANITIZE)
  if(TARDIGRAD_SANITIZE STREQUAL "thread")
    set(sanitize -fsanitize=thread)
  elseif(TARDIGRAD_SANITIZE STREQUAL "address")
    set(sanitize -fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=undefined,float-cast-overflow)
  else()
    message(FATAL_ERROR "TARDIGRAD_SANITIZE is '${TARDIGRAD_SANITIZE}'; expected thread or address")
  endif()
  if(TARDIGRAD_QUICK)
    # To check every use of a pointer takes up to a third of the time of compiling, and AddressSanitizer looks at what it
    # leads to. Kernels keep these checks: they read several numbers at once, from addresses that have to be aligned.
    list(APPEND sanitize
         $<$<NOT:$<BOOL:$<TARGET_PROPERTY:CHECKS_POINTERS>>>:-fno-sanitize=null,alignment,object-size,vptr>)
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # A fifth less time for tests: below 1.5 GB no search for memory that can be used again.
    list(APPEND warnings --param=ggc-min-expand=1000 --param=ggc-min-heapsize=1500000)
  endif()
  # Such a build looks for mistakes and need not be fast: little optimisation, and assertions, also those of the standard
  # library. Its programs stand at fixed addresses, where they start in 0.08 s instead of 0.14: what the checks know of the
  # sources is a million pointers, which would have to be relocated.
  list(APPEND warnings -Wno-array-bounds -Wno-maybe-uninitialized)  # false alarms of g++ 12 at -Og
  target_compile_options(tardigrad_options INTERFACE -Og -g1 -UNDEBUG -D_GLIBCXX_ASSERTIONS -fno-omit-frame-pointer
                         ${sanitize})
  if(NOT TARDIGRAD_HAS_PYTHON)
    target_compile_options(tardigrad_options INTERFACE -fno-pie)
  endif()
  target_link_options(tardigrad_options INTERFACE
                      $<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:-no-pie> ${sanitize})
endif()
target_compile_options(tardigrad_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:${warnings};-Wpedantic>)
if(TARDIGRAD_HAS_PYTHON)
  # Code that a module can hold is else compiled as if others could replace each of its functions.
  target_compile_options(tardigrad_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fno-semantic-interposition>)
endif()
if(TARDIGRAD_NATIVE)
  target_compile_options(tardigrad_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-march=native>)
endif()
if(TARDIGRAD_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "TARDIGRAD_FUZZ: the compiler is ${CMAKE_CXX_COMPILER_ID}; expected clang, which has libFuzzer "
                        "(tools/dependencies.sh fuzz installs it, tools/fuzz.sh calls it)")
  endif()
  set(sanitize -fsanitize=fuzzer-no-link,address,undefined,float-cast-overflow -fno-sanitize-recover=all)
  target_compile_options(tardigrad_options INTERFACE ${sanitize} -fno-omit-frame-pointer -g1)
  target_link_options(tardigrad_options INTERFACE ${sanitize})
endif()

# CUDA: AUTO takes it where the toolkit, cuDNN and NCCL are all there.
set(TARDIGRAD_HAS_CUDA 0)
if(NOT TARDIGRAD_CUDA STREQUAL "OFF")
  if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
    find_program(NVCC nvcc HINTS ENV CUDA_HOME ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES bin)
    if(NVCC)
      set(CMAKE_CUDA_COMPILER ${NVCC})
    endif()
  endif()
  include(CheckLanguage)
  check_language(CUDA)
  set(missing "")
  if(CMAKE_CUDA_COMPILER)
    find_package(CUDAToolkit)
    find_package(cuDNN)
    find_package(NCCL)
    foreach(package CUDAToolkit cuDNN NCCL)
      if(NOT ${package}_FOUND)
        list(APPEND missing ${package})
      endif()
    endforeach()
  else()
    list(APPEND missing "the CUDA compiler (nvcc)")
  endif()
  list(JOIN missing ", " missing)
  if(NOT missing)
    set(TARDIGRAD_HAS_CUDA 1)
    if(TARDIGRAD_SANITIZE)
      set(TARDIGRAD_CUDA EMULATED)  # sanitizers cannot see what happens on a GPU
    endif()
  elseif(NOT TARDIGRAD_CUDA STREQUAL "AUTO")
    message(FATAL_ERROR "TARDIGRAD_CUDA=${TARDIGRAD_CUDA}, but not found: ${missing}; hints: CUDACXX, cuDNN_ROOT, NCCL_ROOT")
  endif()
endif()
target_compile_definitions(tardigrad_options INTERFACE TARDIGRAD_CUDA=${TARDIGRAD_HAS_CUDA})

if(TARDIGRAD_HAS_CUDA)
  add_library(tardigrad_cuda_headers INTERFACE)
  add_library(tardigrad::cuda_headers ALIAS tardigrad_cuda_headers)
  target_include_directories(tardigrad_cuda_headers SYSTEM INTERFACE ${CUDAToolkit_INCLUDE_DIRS}
    $<TARGET_PROPERTY:cuDNN::cuDNN,INTERFACE_INCLUDE_DIRECTORIES>
    $<TARGET_PROPERTY:NCCL::NCCL,INTERFACE_INCLUDE_DIRECTORIES>)
  target_link_libraries(tardigrad_cuda_headers INTERFACE CUDA::nvtx3)
  message(STATUS "tardigrad: CUDA ${CUDAToolkit_VERSION}, cuDNN ${cuDNN_VERSION}, NCCL ${NCCL_VERSION}")
else()
  message(STATUS "tardigrad: without CUDA (TARDIGRAD_CUDA=${TARDIGRAD_CUDA}; not found: ${missing})")
endif()

if(TARDIGRAD_CUDA STREQUAL "EMULATED")
  message(STATUS "tardigrad: every program runs on emulated GPUs (tests/cuda_emulation), for tests")
elseif(TARDIGRAD_HAS_CUDA)
  # For the GPUs that are here, or where there is none, for one generation, to see that all compiles. Releases ask for
  # all: -DCMAKE_CUDA_ARCHITECTURES="75;80;90;100;120".
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    execute_process(COMMAND nvidia-smi --query-gpu=compute_cap --format=csv,noheader
                    OUTPUT_VARIABLE capabilities RESULT_VARIABLE no_gpu ERROR_QUIET)
    string(REGEX MATCHALL "[0-9]+[.][0-9]+" capabilities "${capabilities}")
    if(no_gpu OR NOT capabilities)
      set(capabilities 9.0)
    endif()
    list(REMOVE_DUPLICATES capabilities)
    list(SORT capabilities COMPARE NATURAL)
    string(REPLACE "." "" CMAKE_CUDA_ARCHITECTURES "${capabilities}")
  endif()
  enable_language(CUDA)
  # CMake before 3.25.2 does not know the C++20 flag of nvcc 12 and later.
  foreach(kind STANDARD EXTENSION)
    if(NOT DEFINED CMAKE_CUDA20_${kind}_COMPILE_OPTION)
      set(CMAKE_CUDA20_${kind}_COMPILE_OPTION "-std=c++20")
    endif()
  endforeach()
  set(CMAKE_CUDA_STANDARD 20)
  set(CMAKE_CUDA_STANDARD_REQUIRED ON)
  add_library(tardigrad_cuda_libraries INTERFACE)
  add_library(tardigrad::cuda_libraries ALIAS tardigrad_cuda_libraries)
  target_link_libraries(tardigrad_cuda_libraries INTERFACE CUDA::cudart cuDNN::cuDNN NCCL::NCCL)
  # Some static libraries that use these come behind them on the command line; by then a linker that keeps only what is
  # needed so far (GNU ld as compilers call it, unlike mold) would have dropped them.
  target_link_options(tardigrad_cuda_libraries INTERFACE LINKER:--no-as-needed)
  # The toolkit's own headers are not held to our warnings.
  list(JOIN warnings "," host_warnings)
  target_compile_options(tardigrad_options INTERFACE
    $<$<COMPILE_LANGUAGE:CUDA>:${cuda_warnings};-Xcompiler=${host_warnings};--expt-relaxed-constexpr;-lineinfo>)
  message(STATUS "tardigrad: architectures ${CMAKE_CUDA_ARCHITECTURES}")
endif()
