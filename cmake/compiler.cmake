# Compiler, linker, cache and sanitizer settings that hold for the whole tree.

find_program(VERBATIM_CCACHE ccache)
if(VERBATIM_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Precompiled headers are only cached with these two allowances.
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${VERBATIM_CCACHE})
endif()

find_program(VERBATIM_LLD ld.lld)
if(VERBATIM_LLD)
  add_link_options(-fuse-ld=lld)
endif()
# Programs load only the shared libraries that they use.
add_link_options(-Wl,--as-needed)

if(VERBATIM_SANITIZE)
  add_compile_options(-fsanitize=${VERBATIM_SANITIZE} -fno-omit-frame-pointer
                      -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${VERBATIM_SANITIZE})
endif()

if(VERBATIM_HARDENING)
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -D_GLIBCXX_ASSERTIONS
                      -fstack-protector-strong -fstack-clash-protection -fcf-protection)
  # Not CMAKE_POSITION_INDEPENDENT_CODE: it says -fPIC for libraries and -fPIE for programs, and a precompiled header
  # fits only one of them. All our libraries are static.
  add_compile_options(-fPIE)
  add_link_options(-pie -Wl,-z,relro,-z,now)
endif()

if(VERBATIM_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "VERBATIM_FUZZ needs clang")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
add_compile_options(-pthread)

# Every target of ours links this one; generated and foreign code does not.
add_library(warnings INTERFACE)
target_compile_options(warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast
  -Wnon-virtual-dtor -Woverloaded-virtual -Werror
  $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports inlined std::string code as out of bounds (gcc.gnu.org, bugs 105329 and 105651); the builds without
  # optimisation keep these warnings.
  target_compile_options(warnings INTERFACE
    $<$<CONFIG:RelWithDebInfo>:-Wno-restrict -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread>)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND VERBATIM_SANITIZE)
  # g++ 12 gives false "maybe uninitialized" reports in code that a sanitizer has instrumented.
  target_compile_options(warnings INTERFACE -Wno-maybe-uninitialized)
endif()

# Include root and the switches that every translation unit must share.
add_library(verbatim_options INTERFACE)
target_include_directories(verbatim_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_definitions(verbatim_options INTERFACE
  SPDLOG_SHARED_LIB SPDLOG_COMPILED_LIB SPDLOG_FMT_EXTERNAL
  $<$<BOOL:${VERBATIM_FAULT_POINTS}>:VERBATIM_FAULT_POINTS>)
