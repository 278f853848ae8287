verbatim_test(queue_model_test LABELS model TIMEOUT 300
  SOURCES queue_model_test.cc queue_history.cc queue_history_clients.cc queue_history_operators.cc
    queue_difference.cc
  ENVIRONMENT ASAN_OPTIONS=malloc_context_size=1
  DEPS verbatim_queue verbatim_test_support foreign_rapidcheck)
