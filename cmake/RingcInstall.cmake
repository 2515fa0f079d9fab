# What `cmake --install` lays down. Component `tool`: bin/ringc with its papers. Component `gpu`, only
# when it is asked for: bin/test-gpu and the scripts that run it and the benchmarks. Component `devel`:
# ringc::runtime and ringc::compiler, their public headers, and what find_package(ringc) reads. Component
# `c`: libringc.so, ringc::c, and its header.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

if(TARGET ringc)
  install(TARGETS ringc RUNTIME COMPONENT tool)
endif()
foreach(paper README.md LICENSE)
  if(EXISTS ${PROJECT_SOURCE_DIR}/${paper})
    install(FILES ${paper} DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT tool)
  endif()
endforeach()
install(DIRECTORY kernels.tiles/ DESTINATION ${CMAKE_INSTALL_DATADIR}/ringc/kernels.tiles
        COMPONENT tool FILES_MATCHING PATTERN "*.tile" PATTERN "*.md")
install(PROGRAMS bench/gpu.sh bench/gpu_peers.py bench/gpu_table.py DESTINATION bench
        COMPONENT gpu EXCLUDE_FROM_ALL)

# Static libraries below `dir`, added to the list `out`.
function(ringc_libraries_below dir out)
  get_property(targets DIRECTORY ${dir} PROPERTY BUILDSYSTEM_TARGETS)
  get_property(subdirs DIRECTORY ${dir} PROPERTY SUBDIRECTORIES)
  set(libraries ${${out}})
  foreach(target IN LISTS targets)
    get_target_property(type ${target} TYPE)
    if(type MATCHES "^(STATIC|INTERFACE)_LIBRARY$")
      list(APPEND libraries ${target})
    endif()
  endforeach()
  foreach(subdir IN LISTS subdirs)
    ringc_libraries_below(${subdir} libraries)
  endforeach()
  set(${out} ${libraries} PARENT_SCOPE)
endfunction()

set(ringc_libraries)
foreach(dir IN LISTS ringc_dirs)
  if(dir MATCHES "^(ringc|kernels.tiles|tune.tables)" AND EXISTS ${PROJECT_SOURCE_DIR}/${dir}/CMakeLists.txt)
    ringc_libraries_below(${PROJECT_SOURCE_DIR}/${dir} ringc_libraries)
  endif()
endforeach()
list(REMOVE_DUPLICATES ringc_libraries)

foreach(library IN LISTS ringc_libraries)
  string(REGEX REPLACE "^ringc_" "internal_" name ${library})
  set_target_properties(${library} PROPERTIES EXPORT_NAME ${name})
  target_include_directories(${library} INTERFACE
                             $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endforeach()

# ringc::runtime runs kernels that were compiled ahead, and needs no LLVM. ringc::compiler is the compiler
# and the bridge by which the runtime calls it.
function(ringc_package name)
  set(parts)
  foreach(part IN LISTS ARGN)
    if(TARGET ${part})
      list(APPEND parts ${part})
    endif()
  endforeach()
  if(NOT parts)
    return()
  endif()
  add_library(ringc_package_${name} INTERFACE)
  target_link_libraries(ringc_package_${name} INTERFACE ${parts})
  set_target_properties(ringc_package_${name} PROPERTIES EXPORT_NAME ${name})
  add_library(ringc::${name} ALIAS ringc_package_${name})
  install(TARGETS ringc_package_${name} EXPORT ringcTargets)
endfunction()
ringc_package(runtime ringc_decode ringc_transformer ringc_module ringc_kernel ringc_attention ringc_jit ringc_files ringc_runtime)
ringc_package(compiler ringc_world ringc_host_compiler ringc_compiler)

if(TARGET ringc_c)
  add_library(ringc::c ALIAS ringc_c)
  install(TARGETS ringc_c EXPORT ringcTargets LIBRARY COMPONENT c NAMELINK_COMPONENT c)
  install(FILES ringc/c/ringc_c.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/ringc COMPONENT c)
endif()
install(TARGETS ${ringc_libraries} EXPORT ringcTargets ARCHIVE COMPONENT devel)
install(EXPORT ringcTargets NAMESPACE ringc:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/ringc
        COMPONENT devel)
set(ringc_headers ${CMAKE_INSTALL_INCLUDEDIR}/ringc)
install(DIRECTORY ringc/ DESTINATION ${ringc_headers}
        COMPONENT devel FILES_MATCHING PATTERN "*.h" PATTERN "compiler" EXCLUDE
        PATTERN "ringc/c" EXCLUDE)
install(DIRECTORY ringc/compiler/spec ringc/compiler/predicate DESTINATION ${ringc_headers}/compiler
        COMPONENT devel FILES_MATCHING PATTERN "*.h")
install(FILES ringc/compiler/Compiler.h DESTINATION ${ringc_headers}/compiler COMPONENT devel)

configure_package_config_file(cmake/ringcConfig.cmake.in ${PROJECT_BINARY_DIR}/ringcConfig.cmake
                              INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/ringc)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/ringcConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/ringcConfig.cmake ${PROJECT_BINARY_DIR}/ringcConfigVersion.cmake
              cmake/RingcLLVM.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/ringc COMPONENT devel)
