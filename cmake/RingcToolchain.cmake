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

add_compile_options(-Wall -Wextra -Wshadow)
if(RINGC_WERROR)
  add_compile_options(-Werror)
endif()

# lld links against LLVM several times faster than GNU ld. Debian keeps the versioned one off PATH.
find_program(RINGC_LLD ld.lld HINTS /usr/lib/llvm-22/bin NO_DEFAULT_PATH)
find_program(RINGC_LLD ld.lld)
if(RINGC_LLD)
  get_filename_component(lld_dir ${RINGC_LLD} DIRECTORY)
  add_link_options(-B${lld_dir} -fuse-ld=lld)
endif()

# A precompiled header is a cache hit only when ccache may ignore times and macros defined in it.
find_program(RINGC_CCACHE ccache)
if(RINGC_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER
      env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      ${RINGC_CCACHE})
endif()

find_package(Threads REQUIRED)
find_package(OpenMP REQUIRED)
find_package(nlohmann_json REQUIRED)
