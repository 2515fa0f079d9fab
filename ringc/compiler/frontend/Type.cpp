#include "ringc/compiler/frontend/Type.h"

namespace ringc::frontend {

std::string print(const Element &element) {
  switch (element.kind) {
  case Element::Kind::F32:
    return "f32";
  case Element::Kind::F16:
    return "f16";
  case Element::Kind::BF16:
    return "bf16";
  case Element::Kind::I32:
    return "i32";
  case Element::Kind::Bool:
    return "bool";
  case Element::Kind::Constant:
    return element.name;
  }
  return "";
}

std::string print(const Extent &extent) {
  return extent.isNumber() ? std::to_string(extent.number) : extent.name;
}

std::string print(const std::vector<Extent> &shape) {
  std::string result;
  for (const Extent &extent : shape)
    result += (result.empty() ? "" : ", ") + print(extent);
  return result;
}

std::string print(const Type &type) {
  switch (type.kind) {
  case Type::Kind::Invalid:
    return "an error";
  case Type::Kind::Scalar:
    return print(type.element);
  case Type::Kind::Tile:
    return "tile<" + print(type.element) + ">[" + print(type.shape) + "]";
  case Type::Kind::View:
    if (type.sums)
      return "sums[" + print(type.shape) + "]";
    return "view<" + print(type.element) + ">[" + print(type.shape) + "]";
  case Type::Kind::Positions:
    return "positions[" + print(type.shape) + "]";
  case Type::Kind::PositionWindow:
    return "a window of positions";
  case Type::Kind::Carry:
    return "carry";
  }
  return "";
}

} // namespace ringc::frontend
