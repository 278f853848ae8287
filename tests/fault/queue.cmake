verbatim_test(queue_log_fault_test LABELS fault TIMEOUT 300
  SOURCES queue_log_fault_test.cc queue_log_harness.cc
  DEPS verbatim_queue_log verbatim_test_support)
verbatim_test(queue_hostile_test LABELS fault TIMEOUT 120
  SOURCES queue_hostile_test.cc
  DEPS verbatim_queue verbatim_queue_client verbatim_test_support)
add_dependencies(queue_hostile_test verbatim-queue)
verbatim_test(queue_service_fault_test LABELS fault TIMEOUT 120
  SOURCES queue_service_fault_test.cc
  DEPS verbatim_queue verbatim_queue_client verbatim_test_support)
