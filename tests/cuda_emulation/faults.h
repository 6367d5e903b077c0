#pragma once

/// Failures on purpose, for tests of what the program does about them.
namespace tardigrad::emulation {

/// Makes the `nth` launch from now on (1: the next) on that device fail as it runs: kernels, launches of
/// libraries and those within graphs count, in the order in which they run. From then on every call on the
/// device returns cudaErrorLaunchFailure, as CUDA does until the process ends; host memory stays.
/// TARDIGRAD_EMULATED_FAULT="device:nth" in the environment does the same from the beginning of the program;
/// with "device:nth:hang" that launch never ends, nor does what its stream has behind it.
void fail_launch(int device, long long nth);

/// Makes the device work again, which no GPU does: for the next test. Nothing may be under way on it.
void mend(int device);

}  // namespace tardigrad::emulation
