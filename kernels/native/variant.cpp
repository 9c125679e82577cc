// The phases of a day for one instruction set: compiled once for each, with VARIANT and VECTOR_BYTES (see build.py).
#include "firms.hpp"
#include "single.hpp"

namespace {
template <class T> constexpr Phases<T> phases() { return {firms_of<T>, links_of<T>, sums_of<T>, links_back_of<T>, firms_back_of<T>}; }
}  // namespace
extern const Kernels VARIANT;
const Kernels VARIANT = {phases<float>(), phases<double>()};
