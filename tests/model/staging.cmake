verbatim_test(staging_model_test LABELS model TIMEOUT 300
  SOURCES staging_model_test.cc
  ENVIRONMENT ASAN_OPTIONS=malloc_context_size=1
  DEPS verbatim_staging verbatim_test_support)
