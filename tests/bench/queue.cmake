verbatim_binary(verbatim-queue-bench
  SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/queue_bench.cc
  DEPS verbatim_queue verbatim_queue_client)
