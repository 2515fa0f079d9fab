# ringc_embed(TARGET HEADER folder/Library.h FUNCTION name TYPE Struct FILES path...)
#
# A library with the function that HEADER declares: all files, as they stand when the build is made.
function(ringc_embed target)
  cmake_parse_arguments(arg "" "HEADER;FUNCTION;TYPE" "FILES" ${ARGN})
  set(embedded ${CMAKE_CURRENT_BINARY_DIR}/${arg_FUNCTION}.cpp)
  set(script ${PROJECT_SOURCE_DIR}/cmake/EmbedTexts.cmake)
  add_custom_command(
    OUTPUT ${embedded}
    COMMAND ${CMAKE_COMMAND} -DOUTPUT=${embedded} -DHEADER=${arg_HEADER}
            -DFUNCTION=${arg_FUNCTION} -DTYPE=${arg_TYPE} "-DFILES=${arg_FILES}" -P ${script}
    DEPENDS ${arg_FILES} ${script}
    COMMENT "Embedding ${arg_HEADER}"
    VERBATIM)
  add_library(${target} STATIC ${embedded})
  target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>)
endfunction()
