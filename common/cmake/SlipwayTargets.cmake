# The interface targets every Slipway target links, and the helpers that make targets:
#   slipway_library(NAME SOURCES a.cc ... [DEPS public...] [PRIVATE private...] [GRPC])
#   slipway_test(NAME SOURCES a.cc ... [DEPS ...] LABELS unit... [TIMEOUT s] [GRPC])
#   slipway_fuzz(NAME SOURCES a.cc ... [DEPS ...] RUNS n)
# Libraries and tests share precompiled headers, which are half of a file's compile time: slipway_pch; with GRPC
# slipway_grpc_pch (proto/); a test's also have Catch2 (slipway_test_pch, slipway_grpc_test_pch). A file still includes
# what it needs: cmake -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON shows whether it does.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # ccache can cache a file that uses a precompiled header only with this.
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)
endif()
# Debug symbols for stack traces, -O1 because unoptimised templates make the tests slower than the
# optimiser makes the build.
set(CMAKE_CXX_FLAGS_DEV "-O1 -g1 -DSLIPWAY_DEBUG_CHECKS")
set(CMAKE_C_FLAGS_DEV "-O1 -g1")
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -DNDEBUG")
set(CMAKE_C_FLAGS_RELEASE "-O2 -g1 -DNDEBUG")
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

find_program(SLIPWAY_CCACHE ccache)
if(SLIPWAY_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${SLIPWAY_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${SLIPWAY_CCACHE})
endif()
find_program(SLIPWAY_LLD ld.lld)
if(SLIPWAY_LLD AND NOT SLIPWAY_SANITIZE)
  add_link_options(-fuse-ld=lld)
endif()

add_library(slipway_warnings INTERFACE)
target_compile_options(slipway_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wformat=2
  -Wimplicit-fallthrough -Wcast-align -Wunused -Wmisleading-indentation
  # GCC 12 is wrong about moved std::strings that began as long literals (its bugs 105329, 105651), and in a
  # precompiled header it no longer knows that it is in a system's.
  "$<$<CXX_COMPILER_ID:GNU>:-Wno-array-bounds;-Wno-stringop-overflow;-Wno-stringop-overread>"
  $<$<BOOL:${SLIPWAY_WERROR}>:-Werror>)

add_library(slipway_hardening INTERFACE)
target_compile_options(slipway_hardening INTERFACE
  -fstack-protector-strong -fstack-clash-protection -fcf-protection
  $<$<CONFIG:Release>:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2>)
target_compile_definitions(slipway_hardening INTERFACE $<$<CONFIG:Dev>:_GLIBCXX_ASSERTIONS>)
target_link_options(slipway_hardening INTERFACE -Wl,-z,relro -Wl,-z,now)

add_library(slipway_sanitizers INTERFACE)
if(SLIPWAY_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "SLIPWAY_FUZZ needs clang: cmake --preset fuzz")
  endif()
  target_compile_options(slipway_sanitizers INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(SLIPWAY_SANITIZE)
  target_compile_options(slipway_sanitizers INTERFACE -fsanitize=${SLIPWAY_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  target_link_options(slipway_sanitizers INTERFACE -fsanitize=${SLIPWAY_SANITIZE})
endif()

add_library(slipway_options INTERFACE)
target_include_directories(slipway_options INTERFACE ${CMAKE_SOURCE_DIR})
target_link_libraries(slipway_options INTERFACE slipway_warnings slipway_hardening slipway_sanitizers)

# What nearly every file includes. A precompiled header is of use only to those who see the same macros: what
# fmt::fmt and the threads of some library define, all define.
target_compile_definitions(slipway_options INTERFACE FMT_SHARED)
target_compile_options(slipway_options INTERFACE -pthread)
set(SLIPWAY_COMMON_HEADERS
    <algorithm> <chrono> <cstdint> <filesystem> <functional> <map> <memory> <mutex> <optional> <set> <string>
    <string_view> <thread> <utility> <variant> <vector> <absl/status/statusor.h> <fmt/format.h>)

# slipway_precompiled_headers(NAME HEADERS <a> ... [DEPS ...]): a target to REUSE_FROM.
function(slipway_precompiled_headers NAME)
  cmake_parse_arguments(ARG "" "" "HEADERS;DEPS" ${ARGN})
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/generated/pch.cc CONTENT "")
  add_library(${NAME} STATIC ${CMAKE_BINARY_DIR}/generated/pch.cc)
  target_link_libraries(${NAME} PRIVATE slipway_options ${ARG_DEPS})
  target_precompile_headers(${NAME} PRIVATE ${ARG_HEADERS})
endfunction()
slipway_precompiled_headers(slipway_pch HEADERS ${SLIPWAY_COMMON_HEADERS})

# The precompiled headers are made with -fPIC, executables would get -fPIE.
function(slipway_executable_reuses_headers NAME PCH)
  set_target_properties(${NAME} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  target_compile_options(${NAME} PRIVATE -fPIC)
  target_precompile_headers(${NAME} REUSE_FROM ${PCH})
endfunction()

function(slipway_library NAME)
  cmake_parse_arguments(ARG "GRPC" "" "SOURCES;DEPS;PRIVATE" ${ARGN})
  if(ARG_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "slipway_library(${NAME}): unknown argument ${ARG_UNPARSED_ARGUMENTS}")
  endif()
  add_library(${NAME} STATIC ${ARG_SOURCES})
  target_link_libraries(${NAME} PUBLIC ${ARG_DEPS} PRIVATE slipway_options ${ARG_PRIVATE})
  target_include_directories(${NAME} PUBLIC ${CMAKE_SOURCE_DIR})
  if(ARG_GRPC)
    target_link_libraries(${NAME} PUBLIC slipway_proto)
    target_precompile_headers(${NAME} REUSE_FROM slipway_grpc_pch)
  else()
    target_precompile_headers(${NAME} REUSE_FROM slipway_pch)
  endif()
endfunction()

function(slipway_executable_speaks_grpc NAME)
  target_link_libraries(${NAME} PRIVATE slipway_proto)
  slipway_executable_reuses_headers(${NAME} slipway_grpc_pch)
endfunction()

function(slipway_test NAME)
  cmake_parse_arguments(ARG "GRPC" "TIMEOUT" "SOURCES;DEPS;LABELS" ${ARGN})
  if(ARG_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "slipway_test(${NAME}): unknown argument ${ARG_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT ARG_LABELS)
    message(FATAL_ERROR "slipway_test(${NAME}) needs LABELS: unit sim contract db integration e2e")
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  add_executable(${NAME} ${ARG_SOURCES})
  target_link_libraries(${NAME} PRIVATE slipway_options slipway_test_support slipway_test_main ${ARG_DEPS})
  if(ARG_GRPC)
    target_link_libraries(${NAME} PRIVATE slipway_proto)
    slipway_executable_reuses_headers(${NAME} slipway_grpc_test_pch)
  else()
    slipway_executable_reuses_headers(${NAME} slipway_test_pch)
  endif()
  add_test(NAME ${NAME} COMMAND ${NAME})
  set_tests_properties(${NAME} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT})
  if(SLIPWAY_SANITIZE STREQUAL "thread")
    set_tests_properties(${NAME} PROPERTIES ENVIRONMENT
      "TSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/tests/sanitizers/thread_suppressions.txt")
  endif()
  if(unit IN_LIST ARG_LABELS OR sim IN_LIST ARG_LABELS)
    add_dependencies(sanitizer_tests ${NAME})
  endif()
  if(threads IN_LIST ARG_LABELS)
    add_dependencies(thread_tests ${NAME})
  endif()
endfunction()

# What the address and undefined behaviour sanitizers run: tests labelled `unit` or `sim`.
add_custom_target(sanitizer_tests)

# What the thread sanitizer has something to say about: tests labelled `threads`, whose threads are
# ours and which link neither gRPC nor another library that synchronises without the sanitizer
# seeing it.
add_custom_target(thread_tests)
# All of tests/fuzz.
add_custom_target(fuzz_targets)

# A fuzz target of the fuzz preset: LLVMFuzzerTestOneInput, whose seeds are in seeds/NAME without
# "_fuzz". Its test goes on from the seeds for RUNS inputs that are the same every time.
function(slipway_fuzz NAME)
  cmake_parse_arguments(ARG "" "RUNS" "SOURCES;DEPS" ${ARGN})
  if(ARG_UNPARSED_ARGUMENTS OR NOT ARG_RUNS)
    message(FATAL_ERROR "slipway_fuzz(${NAME}) needs RUNS; unknown: ${ARG_UNPARSED_ARGUMENTS}")
  endif()
  add_executable(${NAME} ${ARG_SOURCES})
  target_link_libraries(${NAME} PRIVATE slipway_options common_base common_status ${ARG_DEPS})
  add_dependencies(fuzz_targets ${NAME})
  target_link_options(${NAME} PRIVATE -fsanitize=fuzzer)
  add_test(NAME ${NAME} COMMAND ${CMAKE_SOURCE_DIR}/tests/fuzz/run ${NAME} --build ${CMAKE_BINARY_DIR}
                                --runs ${ARG_RUNS})
  set_tests_properties(${NAME} PROPERTIES LABELS fuzz TIMEOUT 300)
endfunction()
