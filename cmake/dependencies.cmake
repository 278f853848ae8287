# Foreign libraries, all from Debian 12, one interface target each: foreign_<name>.
# All headers of theirs are SYSTEM, so our warnings do not reach them.

find_package(PkgConfig REQUIRED)

function(verbatim_foreign name module)
  pkg_check_modules(${name} REQUIRED QUIET ${module})
  add_library(foreign_${name} INTERFACE)
  target_include_directories(foreign_${name} SYSTEM INTERFACE ${${name}_INCLUDE_DIRS})
  target_link_libraries(foreign_${name} INTERFACE ${${name}_LINK_LIBRARIES})
endfunction()

verbatim_foreign(protobuf protobuf)
verbatim_foreign(rocksdb rocksdb)
verbatim_foreign(tomlplusplus tomlplusplus)
verbatim_foreign(cli11 CLI11)
verbatim_foreign(libxml2 libxml-2.0)
verbatim_foreign(curl libcurl)
verbatim_foreign(libidn libidn)
verbatim_foreign(ldap ldap)
verbatim_foreign(openssl openssl)
verbatim_foreign(isal libisal)
verbatim_foreign(prometheus prometheus-cpp-pull)

# libzmq's own list of include folders (Kerberos, PGM) is not needed to use it.
add_library(foreign_zmq INTERFACE)
target_link_libraries(foreign_zmq INTERFACE zmq)

# spdlog with Debian's fmt; its definitions are in verbatim_options, so that all code agrees.
add_library(foreign_spdlog INTERFACE)
target_link_libraries(foreign_spdlog INTERFACE spdlog fmt)

add_library(foreign_grpc INTERFACE)
target_link_libraries(foreign_grpc INTERFACE
  grpc++ grpc gpr absl_synchronization foreign_protobuf Threads::Threads)

# The reflection service registers itself from a static initialiser: nothing refers to it by name.
add_library(foreign_grpc_reflection INTERFACE)
target_link_libraries(foreign_grpc_reflection INTERFACE
  -Wl,--push-state,--no-as-needed grpc++_reflection -Wl,--pop-state foreign_grpc)

# Flat hash maps and B-trees, where millions of entries have to fit.
add_library(foreign_absl_containers INTERFACE)
target_link_libraries(foreign_absl_containers INTERFACE absl_raw_hash_set absl_hash absl_raw_logging_internal)
verbatim_foreign(libsodium libsodium)

# Rules of policies: expressions, folding of texts, time zones.
verbatim_foreign(re2 re2)
verbatim_foreign(icu icu-uc)
add_library(foreign_absl_time INTERFACE)
target_link_libraries(foreign_absl_time INTERFACE absl_time absl_time_zone absl_civil_time)

# An allocator for programs that take and give millions of small buffers a second (docs/adr/0014). The sanitizers bring their own.
add_library(foreign_tcmalloc INTERFACE)
if(NOT VERBATIM_SANITIZE)
  target_link_libraries(foreign_tcmalloc INTERFACE
    -Wl,--push-state,--no-as-needed tcmalloc_minimal -Wl,--pop-state)
  target_compile_definitions(foreign_tcmalloc INTERFACE VERBATIM_HAS_TCMALLOC)
endif()

# Optional: used by some targets only. REQUIRED where the target is created.
foreach(optional libxslt)
  string(REGEX REPLACE "[^a-z0-9]" "_" optional_name ${optional})
  pkg_check_modules(${optional_name} QUIET ${optional})
  if(${optional_name}_FOUND)
    add_library(foreign_${optional_name} INTERFACE)
    target_include_directories(foreign_${optional_name} SYSTEM INTERFACE
      ${${optional_name}_INCLUDE_DIRS})
    target_link_libraries(foreign_${optional_name} INTERFACE ${${optional_name}_LINK_LIBRARIES})
  endif()
endforeach()

if(VERBATIM_TESTS)
  verbatim_foreign(gtest gtest)
  verbatim_foreign(gmock gmock)
  verbatim_foreign(gtest_main gtest_main)
  target_link_libraries(foreign_gtest INTERFACE foreign_gmock Threads::Threads)
  # Header-only with a static library: Debian gives no pkg-config file for it.
  find_library(VERBATIM_RAPIDCHECK rapidcheck)
  if(VERBATIM_RAPIDCHECK)
    add_library(foreign_rapidcheck INTERFACE)
    target_link_libraries(foreign_rapidcheck INTERFACE ${VERBATIM_RAPIDCHECK})
  endif()
endif()

find_program(VERBATIM_PROTOC protoc REQUIRED)
find_program(VERBATIM_GRPC_CPP_PLUGIN grpc_cpp_plugin REQUIRED)
