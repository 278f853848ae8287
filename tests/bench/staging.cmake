# The staging store under load, and the same program small, as a test of what is right.
verbatim_binary(verbatim-staging-bench
  SOURCES staging/main.cc staging/staging_run.cc staging/figures.cc staging/counting_file_system.cc
  DEPS verbatim_staging foreign_cli11)
verbatim_python_test(staging_bench TIMEOUT 600
  ARGUMENTS --events 1e5 --steady-seconds 1 --no-bars)
