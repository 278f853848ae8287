# What the XML adapter writes, verbatimctl verify proves.
verbatim_test(archive_verify_test LABELS contract TIMEOUT 120
  SOURCES archive_verify_test.cc
  DEPS verbatim_adapter_xml_lib verbatim_admin verbatim_test_support)
