# What one verdict of the shipped policies costs.
verbatim_binary(verbatim-policy-bench
  SOURCES policy/policy_bench.cc
  DEPS verbatim_ethicalwall verbatim_contentfilter)
