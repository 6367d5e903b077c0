#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>

#include "runtime/device/device.h"

namespace tardigrad {

/// Training left the finite numbers; the program exits with 4. The model of update(), if there is one, is the
/// newest kept whose losses were finite.
class NotFiniteError : public std::runtime_error {
 public:
  NotFiniteError(const std::string& message, std::optional<std::uint64_t> update)
      : std::runtime_error(message), update_(update) {}
  std::optional<std::uint64_t> update() const { return update_; }

 private:
  std::optional<std::uint64_t> update_;
};

/// No worker is left, and none is to come back; the program exits with 3. The model of update() is the
/// newest.
class WorkersLostError : public std::runtime_error {
 public:
  WorkersLostError(const std::string& message, std::uint64_t update)
      : std::runtime_error(message), update_(update) {}
  std::uint64_t update() const { return update_; }

 private:
  std::uint64_t update_;
};

/// A device failed during a run. The model of update() is what could be saved of it.
class DeviceLostError : public DeviceError {
 public:
  DeviceLostError(const DeviceError& error, std::uint64_t update) : DeviceError(error), update_(update) {}
  std::uint64_t update() const { return update_; }

 private:
  std::uint64_t update_;
};

/// A stop was requested before the first model was evaluated: the run has not begun, and there is nothing to
/// save.
class StoppedEarlyError : public std::runtime_error {
 public:
  StoppedEarlyError() : std::runtime_error("the run had not begun, and leaves nothing") {}
};

/// Within a run: a number that was computed at a model of that version is not finite. The run goes back to an
/// older model, and ends with a NotFiniteError.
class NumberNotFinite : public std::runtime_error {
 public:
  NumberNotFinite(const std::string& message, std::uint64_t version, double time)
      : std::runtime_error(message), version_(version), time_(time) {}
  std::uint64_t version() const { return version_; }
  double time() const { return time_; }

 private:
  std::uint64_t version_;
  double time_;
};

}  // namespace tardigrad
