#pragma once

namespace tardigrad {

/// Whether this build, one for every day, tests less to be done sooner (CMake's TARDIGRAD_QUICK).
inline constexpr bool quick_build = TARDIGRAD_QUICK != 0;

}  // namespace tardigrad
