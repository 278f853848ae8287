# What the pipeline is measured against.
verbatim_binary(verbatim-bare-rocks
  SOURCES pipeline/bare_rocks.cc
  DEPS verbatim_load_text foreign_rocksdb)
