# Its canaries are planted with the fault points.
if(VERBATIM_FAULT_POINTS)
  verbatim_test(queue_log_power_test LABELS crash TIMEOUT 300
    SOURCES queue_log_power_test.cc ${CMAKE_SOURCE_DIR}/tests/fault/queue_log_harness.cc
    DEPS verbatim_queue_log verbatim_test_support)
endif()
verbatim_test(queue_core_storm_test LABELS crash TIMEOUT 300
  SOURCES queue_core_storm_test.cc
  DEPS verbatim_queue verbatim_test_support)
verbatim_test(queue_service_crash_test LABELS crash TIMEOUT 300
  SOURCES queue_service_crash_test.cc
  DEPS verbatim_queue_client verbatim_test_support)
add_dependencies(queue_service_crash_test verbatim-queue)
verbatim_python_test(queue_judge_selftest LABELS unit)
verbatim_python_test(queue_storm LABELS crash TIMEOUT 300)
