verbatim_test(queue_client_contract_test LABELS contract TIMEOUT 120
  SOURCES queue_client_test.cc
  DEPS verbatim_queue verbatim_queue_client verbatim_test_support)
