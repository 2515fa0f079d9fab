#include "ringc/compiler/Compiler.h"
#include "ringc/compiler/codegen/HostBackend.h"

#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/Support/MemoryBuffer.h"

#include <stdexcept>

using namespace ringc;

struct HostModule::Linked {
  std::unique_ptr<llvm::orc::LLJIT> jit;
  Entry entry = nullptr;
};

template <typename T> static T valueOr(llvm::Expected<T> value, const std::string &kernel) {
  if (!value)
    throw std::runtime_error("kernel " + kernel +
                             " cannot be linked: " + llvm::toString(value.takeError()));
  return std::move(*value);
}

HostModule::HostModule(const CompiledKernel &kernel) : linked(std::make_unique<Linked>()) {
  initialiseHostBackend();
  linked->jit = valueOr(llvm::orc::LLJITBuilder().create(), kernel.name);
  llvm::orc::LLJIT &jit = *linked->jit;
  // Mathematics that has no vector form here is the C library's.
  jit.getMainJITDylib().addGenerator(
      valueOr(llvm::orc::DynamicLibrarySearchGenerator::GetForCurrentProcess(
                  jit.getDataLayout().getGlobalPrefix()),
              kernel.name));
  auto object = llvm::MemoryBuffer::getMemBufferCopy(kernel.code, kernel.name);
  if (llvm::Error error = jit.addObjectFile(std::move(object)))
    throw std::runtime_error("kernel " + kernel.name +
                             " cannot be linked: " + llvm::toString(std::move(error)));
  linked->entry = valueOr(jit.lookup(kernel.entry), kernel.name).toPtr<Entry>();
}

HostModule::~HostModule() = default;
HostModule::HostModule(HostModule &&) noexcept = default;
HostModule &HostModule::operator=(HostModule &&) noexcept = default;
HostModule::Entry HostModule::entry() const { return linked->entry; }
