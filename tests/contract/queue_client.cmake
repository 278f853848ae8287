# Answers are lost on purpose, which a build without fault points cannot do.
if(NOT VERBATIM_FAULT_POINTS)
  return()
endif()
verbatim_test(queue_client_contract_test LABELS contract TIMEOUT 120
  SOURCES queue_client_test.cc queue_client_consumer_test.cc queue_client_fixture.cc
  DEPS verbatim_queue verbatim_queue_client verbatim_test_support)
