#include "ringc/files/NpyHeader.h"

#include "ringc/files/Quote.h"
#include "ringc/support/Error.h"

#include <array>
#include <cassert>
#include <charconv>

namespace ringc {

namespace {

struct DescrName {
  std::string_view descr; ///< without the order of bytes
  StoredType type;
};
constexpr std::array<DescrName, 15> descrNames = {{{"f8", StoredType::F64},
                                                   {"f4", StoredType::F32},
                                                   {"f2", StoredType::F16},
                                                   {"V2", StoredType::BF16},
                                                   {"bfloat16", StoredType::BF16},
                                                   {"i1", StoredType::I8},
                                                   {"i2", StoredType::I16},
                                                   {"i4", StoredType::I32},
                                                   {"i8", StoredType::I64},
                                                   {"u1", StoredType::U8},
                                                   {"u2", StoredType::U16},
                                                   {"u4", StoredType::U32},
                                                   {"u8", StoredType::U64},
                                                   {"b1", StoredType::Bool},
                                                   {"?", StoredType::Bool}}};

/// Of Python's literals, those that numpy writes: strings without escapes, True and False, tuples
/// of integers (in Python 2 with a trailing L).
class Parser {
public:
  explicit Parser(std::string_view header) : text(header) {}

  NpyHeader parse() {
    NpyHeader header;
    bool hasDescr = false, hasOrder = false, hasShape = false;
    expect('{');
    while (!accept('}')) {
      std::string_view key = parseString();
      expect(':');
      if (key == "descr") {
        requireFirst(hasDescr, key);
        parseDescr(header);
      } else if (key == "fortran_order") {
        requireFirst(hasOrder, key);
        header.fortranOrder = parseBool();
      } else if (key == "shape") {
        requireFirst(hasShape, key);
        header.shape = parseShape();
      } else {
        fail("has an unknown key " + quote(key));
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skipSpaces();
    if (position != text.size())
      fail("goes on after the dictionary");
    if (!hasDescr || !hasOrder || !hasShape)
      fail(std::string("lacks the key '") +
           (!hasDescr ? "descr" : (!hasOrder ? "fortran_order" : "shape")) + "'");
    return header;
  }

private:
  [[noreturn]] void fail(const std::string &what) const { throw InputError("the header " + what); }

  void requireFirst(bool &seen, std::string_view key) const {
    if (seen)
      fail("has the key " + quote(key) + " twice");
    seen = true;
  }

  void skipSpaces() {
    while (position < text.size() &&
           std::string_view(" \t\r\n").find(text[position]) != std::string_view::npos)
      ++position;
  }

  bool accept(char c) {
    skipSpaces();
    if (position == text.size() || text[position] != c)
      return false;
    ++position;
    return true;
  }

  void expect(char c) {
    if (!accept(c))
      fail(std::string("has no '") + c + "' at byte " + std::to_string(position));
  }

  bool acceptWord(std::string_view word) {
    skipSpaces();
    if (!text.substr(position).starts_with(word))
      return false;
    position += word.size();
    return true;
  }

  std::string_view parseString() {
    skipSpaces();
    char mark = position < text.size() ? text[position] : '\0';
    size_t end = mark == '\'' || mark == '"' ? text.find(mark, position + 1) : text.npos;
    if (end == text.npos)
      fail("has no string at byte " + std::to_string(position));
    std::string_view result = text.substr(position + 1, end - position - 1);
    position = end + 1;
    return result;
  }

  bool parseBool() {
    if (acceptWord("True"))
      return true;
    if (!acceptWord("False"))
      fail("has neither True nor False at byte " + std::to_string(position));
    return false;
  }

  void parseDescr(NpyHeader &header) {
    skipSpaces();
    if (position < text.size() && text[position] == '[')
      throw InputError("type", "a structured type", allowed);
    std::string_view descr = parseString();
    std::string_view type = descr;
    char order = type.size() > 2 ? type[0] : '\0';
    bool hasOrder = order == '<' || order == '=' || order == '>' || order == '|';
    if (hasOrder)
      type.remove_prefix(1);
    for (const DescrName &known : descrNames)
      if (known.descr == type && (order != '|' || sizeOf(known.type) == 1 || type == "V2")) {
        header.type = known.type;
        header.bigEndian = order == '>' && sizeOf(known.type) > 1;
        header.isNameless = type == "V2";
        if (!header.isNameless || !header.bigEndian)
          return;
      }
    throw InputError("type", quote(descr), allowed);
  }

  std::vector<int64_t> parseShape() {
    std::vector<int64_t> shape;
    expect('(');
    while (!accept(')')) {
      shape.push_back(parseExtent());
      if (shape.size() > size_t(Tensor::maxRank))
        fail("has more than " + std::to_string(Tensor::maxRank) + " axes");
      bool comma = accept(',');
      if (!comma && shape.size() == 1)
        fail("has no ',' in a shape of one axis"); // (3) is not a tuple
      if (!comma) {
        expect(')');
        break;
      }
    }
    return shape;
  }

  int64_t parseExtent() {
    skipSpaces();
    int64_t extent = 0;
    std::string_view rest = text.substr(position);
    auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), extent);
    if (error == std::errc::result_out_of_range)
      fail("has an extent beyond 2^63");
    if (error != std::errc())
      fail("has no integer at byte " + std::to_string(position));
    if (extent < 0)
      fail("has a negative extent, " + std::to_string(extent));
    position += size_t(end - rest.data());
    if (position < text.size() && text[position] == 'L')
      ++position;
    return extent;
  }

  static constexpr std::string_view allowed =
      "f2, f4, f8, i1 to i8, u1 to u8, b1 (floats, integers, bool), and bfloat16 as bfloat16 or V2";

  std::string_view text;
  size_t position = 0;
};

std::string_view descrOf(DType dtype) {
  switch (dtype) {
  case DType::F32:
    return "<f4";
  case DType::F16:
    return "<f2";
  case DType::I32:
    return "<i4";
  case DType::I64:
    return "<i8";
  case DType::Bool:
    return "|b1";
  case DType::BF16:
    break;
  }
  assert(false && "no such type in .npy");
  return {};
}

} // namespace

NpyHeader parseNpyHeader(std::string_view text) { return Parser(text).parse(); }

std::string npyHeaderText(DType dtype, std::span<const int64_t> shape) {
  std::string text =
      "{'descr': '" + std::string(descrOf(dtype)) + "', 'fortran_order': False, 'shape': (";
  for (size_t axis = 0; axis < shape.size(); ++axis)
    text += (axis ? ", " : "") + std::to_string(shape[axis]);
  return text + (shape.size() == 1 ? ",), }" : "), }");
}

} // namespace ringc
