# Python modules of the protos, and tests that are Python scripts.
#
#   verbatim_python_test(adapter_dies_mid_batch [SCRIPT x.py] [TIMEOUT 120] [LABELS integration]
#                        [SERIAL] [ARGUMENTS ...])
#
# runs <name>.py of the calling folder under Debian's Python with tests/support in its path.
# SERIAL: for tests that measure time or load the machine; nothing else runs beside them.

find_program(VERBATIM_GRPC_PYTHON_PLUGIN grpc_python_plugin REQUIRED)
# Not whatever `python3` is first in the path: Debian's has the gRPC, protobuf and XMPP modules.
set(VERBATIM_PYTHON /usr/bin/python3)

function(verbatim_python_protos target)
  set(out ${CMAKE_BINARY_DIR}/python)
  file(MAKE_DIRECTORY ${out})
  file(GLOB protos RELATIVE ${CMAKE_SOURCE_DIR}/proto CONFIGURE_DEPENDS
       ${CMAKE_SOURCE_DIR}/proto/verbatim/v1/*.proto)
  set(sources ${protos})
  list(TRANSFORM sources PREPEND ${CMAKE_SOURCE_DIR}/proto/)
  add_custom_command(
    OUTPUT ${out}/made.stamp
    COMMAND ${VERBATIM_PROTOC} -I ${CMAKE_SOURCE_DIR}/proto --python_out=${out} --grpc_out=${out}
            --plugin=protoc-gen-grpc=${VERBATIM_GRPC_PYTHON_PLUGIN} ${protos}
    COMMAND ${CMAKE_COMMAND} -E touch ${out}/made.stamp
    DEPENDS ${sources}
    WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}/proto
    COMMENT "protoc for Python"
    VERBATIM)
  add_custom_target(${target} ALL DEPENDS ${out}/made.stamp)
endfunction()

function(verbatim_python_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "SERIAL" "SCRIPT;TIMEOUT" "LABELS;ARGUMENTS;ENVIRONMENT")
  if(NOT arg_SCRIPT)
    set(arg_SCRIPT ${name}.py)
  endif()
  if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${arg_SCRIPT})
    message(FATAL_ERROR "${name}: no script ${CMAKE_CURRENT_SOURCE_DIR}/${arg_SCRIPT}")
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  if(NOT arg_LABELS)
    set(arg_LABELS integration)
  endif()
  add_test(NAME ${name}
    COMMAND ${VERBATIM_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/${arg_SCRIPT} ${arg_ARGUMENTS})
  set_tests_properties(${name} PROPERTIES
    LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT} RUN_SERIAL "${arg_SERIAL}"
    ENVIRONMENT "VERBATIM_SOURCE_DIR=${CMAKE_SOURCE_DIR};VERBATIM_BIN_DIR=${CMAKE_BINARY_DIR}/bin;PYTHONPATH=${CMAKE_SOURCE_DIR}/tests/support:${CMAKE_BINARY_DIR}/python;PYTHONDONTWRITEBYTECODE=1;${arg_ENVIRONMENT}")
endfunction()
