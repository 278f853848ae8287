# Node, smallest policy and floors of the verdict bench.
if(TARGET verbatim_collector_xcp)
  verbatim_binary(verbatim-verdict-load PCH grpc
    SOURCES verdict/main.cc verdict/node_load.cc verdict/small_policy.cc
    DEPS verbatim_collector_xcp foreign_grpc foreign_cli11)
endif()
