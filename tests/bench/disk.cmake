# The disk alone, for the benches whose answer waits for a sync.
verbatim_binary(verbatim-disk-witness
  SOURCES disk/main.cc
  DEPS verbatim_base foreign_cli11)
