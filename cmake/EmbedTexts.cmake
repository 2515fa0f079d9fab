# cmake -DOUTPUT=file.cpp -DHEADER=folder/Library.h -DFUNCTION=kernelLibrary -DTYPE=EmbeddedSource
#       -DFILES="a.tile;b.tile" -P EmbedTexts.cmake

set(entries "")
set(count 0)
foreach(file IN LISTS FILES)
  get_filename_component(name ${file} NAME)
  file(READ ${file} text)
  # A compiler need not take longer literals than this.
  set(literals "")
  string(LENGTH "${text}" length)
  set(at 0)
  while(at LESS length OR at EQUAL 0)
    string(SUBSTRING "${text}" ${at} 16000 part)
    string(APPEND literals "R\"TEXT(${part})TEXT\"\n")
    math(EXPR at "${at} + 16000")
  endwhile()
  string(APPEND entries "    {\"${name}\", ${literals}},\n")
  math(EXPR count "${count} + 1")
endforeach()
file(WRITE ${OUTPUT} "#include \"${HEADER}\"

#include <array>

namespace ringc {

std::span<const ${TYPE}> ${FUNCTION}() {
  static constexpr std::array<${TYPE}, ${count}> all = {{
${entries}  }};
  return all;
}

} // namespace ringc
")
