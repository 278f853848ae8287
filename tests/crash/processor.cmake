# Mostly waits for run intervals and restarts.
verbatim_python_test(processor_storm LABELS crash TIMEOUT 900)
if(VERBATIM_FAULT_POINTS)
  verbatim_test(processor_power_test LABELS crash TIMEOUT 900
    SOURCES power_world.cc processor_power_test.cc ${CMAKE_SOURCE_DIR}/tests/fault/rocks_fault_file_system.cc
    ENVIRONMENT ASAN_OPTIONS=malloc_context_size=1
    DEPS verbatim_hub verbatim_intake verbatim_processor_ops verbatim_test_support)
endif()
