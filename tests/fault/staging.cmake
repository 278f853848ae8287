verbatim_test(staging_fault_test LABELS fault TIMEOUT 600
  SOURCES staging_fault_test.cc rocks_fault_file_system.cc
  ENVIRONMENT ASAN_OPTIONS=malloc_context_size=1
  DEPS verbatim_staging verbatim_test_support)
