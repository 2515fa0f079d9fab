# How tests are added:
#   ringc_add_unit_test(name SOURCES file... [LIBS target...] [LABEL label] [THREADS])
#   ringc_skip_test(name reason)
#   ringc_add_fuzz_target(name SOURCES file... [LIBS target...] [CORPUS folder])

find_package(doctest REQUIRED)

add_library(ringc_test_main OBJECT ${PROJECT_SOURCE_DIR}/tests/unit/main.cpp)
target_link_libraries(ringc_test_main PUBLIC doctest::doctest)

# One doctest binary, bin/test-<name>, registered with ctest as <label>.<name>; the label is `unit`
# unless another is given. THREADS also labels it for the thread sanitizer's build.
function(ringc_add_unit_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "THREADS" "LABEL" "SOURCES;LIBS")
  if(NOT arg_LABEL)
    set(arg_LABEL unit)
  endif()
  add_executable(test-${name} ${arg_SOURCES})
  target_link_libraries(test-${name} PRIVATE ringc_test_main doctest::doctest ${arg_LIBS})
  add_test(NAME ${arg_LABEL}.${name} COMMAND test-${name})
  set(labels ${arg_LABEL})
  if(arg_THREADS)
    list(APPEND labels threads)
  endif()
  set_tests_properties(${arg_LABEL}.${name} PROPERTIES LABELS "${labels}" TIMEOUT 900)
endfunction()

# A test that this machine cannot have, so that the summary says so.
function(ringc_skip_test name reason)
  string(REGEX REPLACE "\\..*" "" label ${name})
  add_test(NAME ${name} COMMAND ${CMAKE_COMMAND} -E echo "skipped: ${reason}")
  set_tests_properties(${name} PROPERTIES LABELS ${label} SKIP_REGULAR_EXPRESSION "skipped: ")
endfunction()

add_custom_target(fuzz COMMENT "Every fuzz target")

# A libFuzzer program, bin/fuzz-<name>, built by the asan preset alone; LLVMFuzzerTestOneInput is in its
# sources. Every build has the test fuzz.<name>, a short run of the asan preset's program from the seeds
# in CORPUS; it is skipped where that program has not been built.
function(ringc_add_fuzz_target name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "CORPUS" "SOURCES;LIBS")
  set(program ${PROJECT_SOURCE_DIR}/build/asan/bin/fuzz-${name})
  if(RINGC_SANITIZE)
    set(program ${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/fuzz-${name})
    add_executable(fuzz-${name} EXCLUDE_FROM_ALL ${arg_SOURCES})
    target_link_libraries(fuzz-${name} PRIVATE ${arg_LIBS})
    target_link_options(fuzz-${name} PRIVATE -fsanitize=fuzzer)
    add_dependencies(fuzz fuzz-${name})
  endif()
  add_test(NAME fuzz.${name}
           COMMAND ${PROJECT_SOURCE_DIR}/cmake/run-fuzz.sh ${program}
                   ${PROJECT_SOURCE_DIR}/build/fuzz/${name} ${arg_CORPUS})
  set_tests_properties(fuzz.${name} PROPERTIES LABELS fuzz SKIP_RETURN_CODE 77 TIMEOUT 900)
endfunction()
