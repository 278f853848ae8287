# How a folder states its targets:
#
#   verbatim_library(verbatim_queue SOURCES a.cc b.cc DEPS verbatim_base [PCH grpc])
#   verbatim_binary(verbatim-queue SOURCES main.cc DEPS verbatim_queue [PCH grpc])
#   verbatim_test(queue_test SOURCES a_test.cc b_test.cc DEPS verbatim_queue
#                 [LABELS unit] [TIMEOUT 60] [ENVIRONMENT A=b] [ARGUMENTS ...] [NO_MAIN] [PCH none])
#
# DEPS are PUBLIC. Our warnings are always on. Binaries land in <build>/bin. A test is one GoogleTest
# program and one ctest (named like the program); labels default to `unit`, the timeout to 60 s.
# PCH names a precompiled header: std (small), grpc, test (GoogleTest and protobuf), grpc_test.
# It only saves time: every file still includes what it uses, and the dev preset proves it.

# Small, always the same: header content stands in cmake/pch/<name>.h.
function(verbatim_pch target name)
  if(NOT VERBATIM_PCH OR name STREQUAL "none")
    return()
  endif()
  if(NOT TARGET pch_${name})
    set(source ${CMAKE_BINARY_DIR}/pch/pch_${name}.cc)
    file(CONFIGURE OUTPUT ${source} CONTENT "// Only carries a precompiled header.\n")
    add_library(pch_${name} OBJECT ${source})
    # With our warnings: -Wpedantic changes what is predefined, and then the header is not used.
    target_link_libraries(pch_${name} PRIVATE verbatim_options warnings)
    target_precompile_headers(pch_${name} PRIVATE ${CMAKE_SOURCE_DIR}/cmake/pch/${name}.h)
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
      target_compile_options(pch_${name} PRIVATE -fpch-preprocess)
    else()
      target_compile_options(pch_${name} PRIVATE -Xclang -fno-pch-timestamp)
    endif()
  endif()
  target_precompile_headers(${target} REUSE_FROM pch_${name})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE -fpch-preprocess)
  else()
    target_compile_options(${target} PRIVATE -Xclang -fno-pch-timestamp)
  endif()
endfunction()

function(verbatim_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "PCH" "SOURCES;DEPS")
  if(arg_SOURCES)
    add_library(${name} STATIC ${arg_SOURCES})
    target_link_libraries(${name} PUBLIC verbatim_options ${arg_DEPS} PRIVATE warnings)
    if(arg_PCH)
      verbatim_pch(${name} ${arg_PCH})
    endif()
  else()
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE verbatim_options ${arg_DEPS})
  endif()
endfunction()

function(verbatim_binary name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "PCH" "SOURCES;DEPS")
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE verbatim_options ${arg_DEPS} warnings)
  if(arg_PCH)
    verbatim_pch(${name} ${arg_PCH})
  endif()
endfunction()

function(verbatim_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "NO_MAIN" "TIMEOUT;PCH"
                        "SOURCES;DEPS;LABELS;ENVIRONMENT;ARGUMENTS")
  if(NOT VERBATIM_TESTS)
    return()
  endif()
  if(NOT arg_LABELS)
    set(arg_LABELS unit)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 60)
  endif()
  if(NOT arg_PCH)
    set(arg_PCH test)
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE verbatim_options ${arg_DEPS} foreign_gtest warnings)
  if(NOT arg_NO_MAIN)
    target_link_libraries(${name} PRIVATE foreign_gtest_main)
  endif()
  verbatim_pch(${name} ${arg_PCH})
  add_test(NAME ${name} COMMAND ${name} ${arg_ARGUMENTS})
  set_tests_properties(${name} PROPERTIES
    LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT}
    ENVIRONMENT "VERBATIM_SOURCE_DIR=${CMAKE_SOURCE_DIR};VERBATIM_BIN_DIR=${CMAKE_BINARY_DIR}/bin;${arg_ENVIRONMENT}")
endfunction()

# A libFuzzer program in the fuzz preset; elsewhere a test that replays the committed corpus through
# tests/support/fuzz_replay_main.cc.
function(verbatim_fuzz name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "CORPUS" "SOURCES;DEPS")
  if(VERBATIM_FUZZ)
    verbatim_binary(${name} SOURCES ${arg_SOURCES} DEPS ${arg_DEPS})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  elseif(VERBATIM_TESTS)
    verbatim_test(${name} NO_MAIN PCH none LABELS fuzz DEPS ${arg_DEPS} ARGUMENTS ${arg_CORPUS}
      SOURCES ${arg_SOURCES} ${CMAKE_SOURCE_DIR}/tests/support/fuzz_replay_main.cc)
  endif()
endfunction()
