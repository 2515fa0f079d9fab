# Precompiled headers for every target of the project. With MLIR's, clang compiles a file in a quarter of the time: a
# cold sanitized build fits into CI. The presets without them, dev and release, are what says that each file includes
# what it needs.

set(ringc_std_headers
    <algorithm> <array> <atomic> <cmath> <cstdint> <cstring> <functional> <map> <memory> <mutex> <optional> <random>
    <span> <sstream> <string> <thread> <unordered_map> <variant> <vector>)
set(ringc_mlir_headers
    <mlir/Dialect/Arith/IR/Arith.h> <mlir/Dialect/ControlFlow/IR/ControlFlowOps.h> <mlir/Dialect/Func/IR/FuncOps.h>
    <mlir/Dialect/LLVMIR/LLVMDialect.h> <mlir/Dialect/LLVMIR/NVVMDialect.h> <mlir/Dialect/Math/IR/Math.h>
    <mlir/Dialect/SCF/IR/SCF.h> <mlir/Dialect/Vector/IR/VectorOps.h> <mlir/IR/IRMapping.h> <mlir/IR/Matchers.h>
    <mlir/Pass/Pass.h> <mlir/Transforms/GreedyPatternRewriteDriver.h>)

# All that use MLIR share one: it takes 20 s. Others have one of their own where enough files gain by it.
function(ringc_precompile_headers target)
  get_target_property(uses_mlir ${target} RINGC_USES_MLIR)
  get_target_property(sources ${target} SOURCES)
  get_target_property(links ${target} LINK_LIBRARIES)
  list(FILTER sources INCLUDE REGEX "\\.cpp$")
  list(LENGTH sources count)
  if(uses_mlir)
    if(NOT TARGET ringc_mlir_headers)
      add_library(ringc_mlir_headers OBJECT ${PROJECT_SOURCE_DIR}/cmake/empty.cpp)
      ringc_use_mlir_headers(ringc_mlir_headers)
      target_precompile_headers(ringc_mlir_headers PRIVATE ${ringc_mlir_headers})
    endif()
    target_precompile_headers(${target} REUSE_FROM ringc_mlir_headers)
    target_compile_options(${target} PRIVATE -fPIC) # an executable's -fPIE is not that of the headers
  elseif(count GREATER 3)
    target_precompile_headers(${target} PRIVATE ${ringc_std_headers})
    if("${links}" MATCHES "doctest")
      target_precompile_headers(${target} PRIVATE <doctest/doctest.h>)
    endif()
    if("${links}" MATCHES "nlohmann")
      target_precompile_headers(${target} PRIVATE <nlohmann/json.hpp>)
    endif()
  endif()
endfunction()

function(ringc_precompile_headers_below dir)
  get_property(targets DIRECTORY ${dir} PROPERTY BUILDSYSTEM_TARGETS)
  foreach(target IN LISTS targets)
    get_target_property(type ${target} TYPE)
    if(type MATCHES "^(STATIC_LIBRARY|EXECUTABLE)$")
      ringc_precompile_headers(${target})
    endif()
  endforeach()
  get_property(subdirs DIRECTORY ${dir} PROPERTY SUBDIRECTORIES)
  foreach(subdir IN LISTS subdirs)
    ringc_precompile_headers_below(${subdir})
  endforeach()
endfunction()
ringc_precompile_headers_below(${PROJECT_SOURCE_DIR})
