# Every numbered source (grpc, zmq) keeps one contract.
verbatim_test(source_contract_test PCH grpc_test LABELS contract TIMEOUT 120
  SOURCES source_contract_test.cc
  DEPS verbatim_collector_grpc verbatim_load_producer verbatim_test_support)
