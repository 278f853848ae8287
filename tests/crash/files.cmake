verbatim_python_test(file_storm LABELS crash TIMEOUT 400)
