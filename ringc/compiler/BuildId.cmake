# Writes compilerBuildId(): a hash of all sources of the compiler, and of LLVM where that is linked
# statically.
file(GLOB_RECURSE sources ${ROOT}/*.cpp ${ROOT}/*.h ${ROOT}/*.td)
list(SORT sources)
set(all "")
foreach(source IN LISTS sources LINKED)
  file(SHA256 ${source} hash)
  string(APPEND all ${hash})
endforeach()
string(SHA256 id "${all}")
string(SUBSTRING ${id} 0 16 id)
file(WRITE ${OUTPUT} "#include \"ringc/compiler/Compiler.h\"\n\nstd::string ringc::compilerBuildId() { return \"${id}\"; }\n")
