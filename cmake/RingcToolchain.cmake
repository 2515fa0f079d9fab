# Language, warnings, linker, compiler cache and output folders for everything below the root.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)

if(NOT CMAKE_BUILD_TYPE AND PROJECT_IS_TOP_LEVEL)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug, Release, RelWithDebInfo" FORCE)
endif()

# Sources include each other relative to the repository's root; generated files mirror it.
include_directories(${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})

# Designated initialisers leave members out on purpose.
add_compile_options(-Wall -Wextra -Wshadow -Wno-missing-field-initializers)
if(RINGC_WERROR)
  add_compile_options(-Werror)
endif()

# address: also undefined behaviour. vptr needs LLVM itself instrumented. function reads what stands before a
# function: before a kernel compiled in process there may be no memory. Coverage is for the fuzz targets.
set(RINGC_SANITIZE "" CACHE STRING "Sanitizers, which need clang: address (and undefined), with fuzz targets; thread; none")
set_property(CACHE RINGC_SANITIZE PROPERTY STRINGS "" address thread)
if(RINGC_SANITIZE)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL Clang)
    message(FATAL_ERROR "RINGC_SANITIZE needs clang 22: use the presets asan and tsan")
  endif()
  set(ringc_sanitizers_address -fsanitize=address,undefined -fno-sanitize=vptr,function)
  set(ringc_sanitizers_thread -fsanitize=thread)
  if(NOT DEFINED ringc_sanitizers_${RINGC_SANITIZE})
    message(FATAL_ERROR "RINGC_SANITIZE: got ${RINGC_SANITIZE}, allowed: address, thread, or nothing")
  endif()
  add_compile_options(${ringc_sanitizers_${RINGC_SANITIZE}} -fno-omit-frame-pointer)
  add_link_options(${ringc_sanitizers_${RINGC_SANITIZE}})
  if(RINGC_SANITIZE STREQUAL "address")
    add_compile_options(-fsanitize=fuzzer-no-link -fno-sanitize-recover=undefined)
  endif()
endif()
option(RINGC_PCH "Precompile headers" OFF)

# One archive for other distributions: nothing of g++ is needed at run time, and of LLVM only what is used.
# The project's own files are compiled as ever, so that a compiler cache has them.
option(RINGC_PORTABLE "Link libstdc++ and libgcc statically and drop unused sections of LLVM" OFF)
if(RINGC_PORTABLE)
  add_link_options(-static-libstdc++ -static-libgcc -Wl,--gc-sections -Wl,--as-needed)
endif()

# lld links against LLVM several times faster than GNU ld. Debian keeps the versioned one off PATH.
find_program(RINGC_LLD ld.lld HINTS /usr/lib/llvm-22/bin NO_DEFAULT_PATH)
find_program(RINGC_LLD ld.lld)
if(RINGC_LLD)
  get_filename_component(lld_dir ${RINGC_LLD} DIRECTORY)
  add_link_options(-B${lld_dir} -fuse-ld=lld)
endif()

find_program(RINGC_CCACHE ccache)
if(RINGC_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${RINGC_CCACHE})
endif()

find_package(Threads REQUIRED)
find_package(nlohmann_json REQUIRED)
