# Shipped adapters and the example keep the contract; planted faults are found.
foreach(kind python xml count faults guide)
  verbatim_python_test(adapter_check_${kind} SCRIPT adapter_check.py ARGUMENTS ${kind}
    LABELS contract TIMEOUT 300)
endforeach()
