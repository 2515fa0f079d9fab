# cmake -DOUTPUT=file.cpp -DSOURCES="a.tile;b.tile" -P EmbedSources.cmake

set(entries "")
foreach(source IN LISTS SOURCES)
  get_filename_component(name ${source} NAME)
  file(READ ${source} text)
  string(APPEND entries "    {\"${name}\", R\"TILE(${text})TILE\"},\n")
endforeach()
file(WRITE ${OUTPUT} "#include \"kernels.tiles/Library.h\"

namespace ringc {

std::span<const EmbeddedSource> kernelLibrary() {
  static constexpr EmbeddedSource sources[] = {
${entries}  };
  return sources;
}

} // namespace ringc
")
