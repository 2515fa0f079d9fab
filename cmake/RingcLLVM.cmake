# Finds MLIR 22 and hides how it is linked: `ringc_link_mlir(target MLIRlib...)`.

# A static LLVM brings its compression libraries along.
set(zstd_name zstd)
if(RINGC_STATIC_LLVM)
  set(zstd_name libzstd.a)
  set(ZLIB_USE_STATIC_LIBS ON)
endif()

# LLVM's exported targets name zstd::libzstd_shared, but llvm-22-dev does not depend on libzstd-dev.
if(NOT TARGET zstd::libzstd_shared)
  find_library(RINGC_ZSTD NAMES ${zstd_name} REQUIRED)
  add_library(zstd::libzstd_shared UNKNOWN IMPORTED)
  set_target_properties(zstd::libzstd_shared PROPERTIES IMPORTED_LOCATION ${RINGC_ZSTD})
endif()

# Debian's package refuses the plain request for version 22.
find_package(MLIR 22.1 REQUIRED CONFIG HINTS /usr/lib/llvm-22)
list(APPEND CMAKE_MODULE_PATH ${MLIR_CMAKE_DIR} ${LLVM_CMAKE_DIR})
include(TableGen)
include(AddLLVM)
include(AddMLIR)

# Debian builds LLVM as one shared library, so every static MLIR target names the shared `LLVM` in its
# link interface. Left there, a static link would hold two LLVMs with two pass registries.
if(RINGC_STATIC_LLVM)
  foreach(lib IN LISTS MLIR_EXPORTED_TARGETS)
    if(TARGET ${lib})
      get_target_property(interface ${lib} INTERFACE_LINK_LIBRARIES)
      if(interface)
        list(REMOVE_ITEM interface LLVM)
        set_target_properties(${lib} PROPERTIES INTERFACE_LINK_LIBRARIES "${interface}")
      endif()
    endif()
  endforeach()
  llvm_map_components_to_libnames(
    RINGC_LLVM_LIBS core support passes target analysis transformutils irreader bitwriter linker
    frontendopenmp orcjit x86codegen x86asmparser x86desc x86info nvptxcodegen nvptxdesc nvptxinfo)
endif()

# Makes LLVM's and MLIR's headers visible to `target` without their warnings.
function(ringc_use_mlir_headers target)
  target_include_directories(${target} SYSTEM PUBLIC
                             $<BUILD_INTERFACE:${LLVM_INCLUDE_DIRS}> $<BUILD_INTERFACE:${MLIR_INCLUDE_DIRS}>)
  separate_arguments(definitions UNIX_COMMAND "${LLVM_DEFINITIONS}")
  list(TRANSFORM definitions REPLACE "^-D" "")
  target_compile_definitions(${target} PRIVATE ${definitions})
  set_target_properties(${target} PROPERTIES RINGC_USES_MLIR ON)
endfunction()

# Links `target` with the named static MLIR libraries and LLVM's components, or with libMLIR.so and
# libLLVM.so, as RINGC_STATIC_LLVM says.
function(ringc_link_mlir target)
  ringc_use_mlir_headers(${target})
  if(RINGC_STATIC_LLVM)
    target_link_libraries(${target} PRIVATE ${ARGN} ${RINGC_LLVM_LIBS})
  else()
    target_link_libraries(${target} PRIVATE MLIR LLVM)
  endif()
endfunction()
