verbatim_test(queue_log_golden_test LABELS golden
  SOURCES queue_log_golden_test.cc ${CMAKE_SOURCE_DIR}/tests/fault/queue_log_harness.cc
  DEPS verbatim_queue_log verbatim_test_support
  ENVIRONMENT VERBATIM_GOLDEN_DIR=${CMAKE_CURRENT_SOURCE_DIR})
verbatim_test(queue_payload_golden_test LABELS golden
  SOURCES queue_payload_golden_test.cc
  DEPS verbatim_queue verbatim_queue_client verbatim_test_support
  ENVIRONMENT VERBATIM_GOLDEN_DIR=${CMAKE_CURRENT_SOURCE_DIR})
