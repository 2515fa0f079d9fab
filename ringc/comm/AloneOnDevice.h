#pragma once

#include "ringc/comm/StreamTransport.h"

#include <memory>

namespace ringc {

/// The only rank of a world, on a device: there is nobody to send to, and no NCCL.
class AloneOnDevice final : public RemoteTransport {
public:
  explicit AloneOnDevice(std::shared_ptr<const CudaDevice> device) : on(std::move(device)) {}

  int rank() const override { return 0; }
  int world() const override { return 1; }
  std::unique_ptr<Transfer> post(const Exchange &) override { return std::make_unique<Nothing>(); }
  void abort(std::string_view) noexcept override {}
  int64_t sentBytes() const override { return 0; }
  int64_t receivedBytes() const override { return 0; }

  const std::shared_ptr<const CudaDevice> &device() const override { return on; }
  void follow(const CudaStream &) override {}
  std::vector<std::vector<std::byte>> gather(std::span<const int>,
                                             std::span<const std::byte> own) override {
    return {{own.begin(), own.end()}};
  }
  std::unique_ptr<Transfer> announce(std::span<const int>, std::span<const std::byte>,
                                     const void *) override {
    return std::make_unique<Nothing>();
  }
  void check() const override {}
  void wait(const CudaStream &stream) override { stream.synchronize(); }

private:
  class Nothing final : public Transfer {
    void wait() override {}
  };

  std::shared_ptr<const CudaDevice> on;
};

} // namespace ringc
