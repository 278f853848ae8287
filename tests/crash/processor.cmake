verbatim_python_test(processor_storm LABELS crash TIMEOUT 600 SERIAL)
