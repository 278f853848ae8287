# The server without a queue, the load, and a disk whose syncs are slow.
verbatim_binary(verbatim-null-queue
  SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/null_queue.cc
  DEPS verbatim_base verbatim_proto foreign_zmq)
verbatim_binary(verbatim-queue-load
  SOURCES load/main.cc load/load.cc load/wire.cc load/put_frame.cc load/put_load.cc load/open_load.cc
    load/shared_load.cc load/receive_load.cc load/bare_loop.cc
  DEPS foreign_tcmalloc verbatim_queue_client foreign_zmq foreign_cli11)
add_library(verbatim_slow_sync MODULE slow_sync.cc)
target_link_libraries(verbatim_slow_sync PRIVATE warnings ${CMAKE_DL_LIBS})
set_target_properties(verbatim_slow_sync PROPERTIES
  PREFIX "" OUTPUT_NAME slow_sync LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
verbatim_python_test(bench_selftest TIMEOUT 300)
