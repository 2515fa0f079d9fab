# How tests are added: ringc_add_unit_test(name SOURCES file... [LIBS target...] [LABEL label]).

find_package(doctest REQUIRED)

add_library(ringc_test_main OBJECT ${PROJECT_SOURCE_DIR}/tests/unit/main.cpp)
target_link_libraries(ringc_test_main PUBLIC doctest::doctest)

# One doctest binary, bin/test-<name>, registered with ctest as <label>.<name>; the label is `unit`
# unless another is given.
function(ringc_add_unit_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "LABEL" "SOURCES;LIBS")
  if(NOT arg_LABEL)
    set(arg_LABEL unit)
  endif()
  add_executable(test-${name} ${arg_SOURCES})
  target_link_libraries(test-${name} PRIVATE ringc_test_main doctest::doctest ${arg_LIBS})
  add_test(NAME ${arg_LABEL}.${name} COMMAND test-${name})
  set_tests_properties(${arg_LABEL}.${name} PROPERTIES LABELS ${arg_LABEL} TIMEOUT 300)
endfunction()
