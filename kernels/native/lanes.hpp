// Neighbouring members in vectors of the machine's width: a row of L numbers with arithmetic, comparison and choice.
#pragma once
#include <cstdlib>
#include <cstring>
#include <limits>

#ifndef VECTOR_BYTES
#define VECTOR_BYTES 16
#endif

#define INLINE inline __attribute__((always_inline))

namespace {  // whatever instruction set a file is compiled for, the linker must not mix it with another's

// Memory that stays, for numbers at hand.
template <class T> struct Room {
  T* at = nullptr;
  size_t size = 0;
  T* of(size_t n) {
    if (n > size) {
      free(at);
      size = n + n / 2;
      at = static_cast<T*>(aligned_alloc(64, (size * sizeof(T) + 63) / 64 * 64));
      if (!at) abort();
    }
    return at;
  }
  ~Room() { free(at); }
};

template <class T> struct Tiny;  // as safe_ratio: below it a square is 0
template <> struct Tiny<float> { static constexpr float root = 1.0842021724855044e-19f, near = 6.4155306e-06f; };
template <> struct Tiny<double> { static constexpr double root = 1.4916681462400413e-154, near = 1.8189894035458565e-12; };

template <class T, int W> struct Vector {
  typedef T type __attribute__((vector_size(sizeof(T) * W)));
  typedef T loose __attribute__((vector_size(sizeof(T) * W), aligned(alignof(T))));  // in memory, wherever it lies
};
template <class T> struct Vector<T, 1> { typedef T type, loose; };

template <class T, int L> struct Row {
  static constexpr int W = L * sizeof(T) <= VECTOR_BYTES ? L : VECTOR_BYTES / sizeof(T), K = L / W;
  typedef typename Vector<T, W>::type V;
  V v[K];
  Row() = default;
  INLINE Row(T all) { for (int k = 0; k < K; k++) v[k] = V{} + all; }
  static INLINE Row load(const T* from) {
    Row row;
    for (int k = 0; k < K; k++) row.v[k] = *(const typename Vector<T, W>::loose*)(from + k * W);
    return row;
  }
  INLINE void store(T* to) const {
    for (int k = 0; k < K; k++) *(typename Vector<T, W>::loose*)(to + k * W) = v[k];
  }
};
#define BINARY(op) \
  template <class T, int L> INLINE Row<T, L> operator op(Row<T, L> a, const Row<T, L>& b) { \
    for (int k = 0; k < a.K; k++) a.v[k] = a.v[k] op b.v[k]; \
    return a; \
  }
BINARY(+) BINARY(-) BINARY(*) BINARY(/)
#undef BINARY
// where a < b, a <= b: one, else other
template <class T, int L> INLINE Row<T, L> if_less(const Row<T, L>& a, const Row<T, L>& b, const Row<T, L>& one, const Row<T, L>& other) {
  Row<T, L> found;
  for (int k = 0; k < found.K; k++) found.v[k] = a.v[k] < b.v[k] ? one.v[k] : other.v[k];
  return found;
}
template <class T, int L> INLINE Row<T, L> if_at_most(const Row<T, L>& a, const Row<T, L>& b, const Row<T, L>& one, const Row<T, L>& other) {
  Row<T, L> found;
  for (int k = 0; k < found.K; k++) {
    const auto size = b.v[k] < 0 ? -b.v[k] : b.v[k];
    found.v[k] = a.v[k] <= b.v[k] + size * Tiny<T>::near ? one.v[k] : other.v[k];
  }
  return found;
}
template <class T, int L> INLINE Row<T, L> least(const Row<T, L>& a, const Row<T, L>& b) { return if_less(a, b, a, b); }
// What is no number stays none.
template <class T, int L> INLINE Row<T, L> positive(const Row<T, L>& a) { return if_less(a, Row<T, L>(0), Row<T, L>(0), a); }
template <class T, int L> INLINE Row<T, L> safe_ratio(const Row<T, L>& over, const Row<T, L>& under) {
  const Row<T, L> root(Tiny<T>::root), one(1);
  return if_less(root, under, over / if_less(root, under, under, one), Row<T, L>(0));
}
// The lesser of two has the derivative of the first at a tie; here the cotangent goes to the one or the other.
template <class T, int L> INLINE void to_lesser(const Row<T, L>& a, const Row<T, L>& b, const Row<T, L>& bar, Row<T, L>& a_bar, Row<T, L>& b_bar) {
  const Row<T, L> zero(0);
  a_bar = a_bar + if_at_most(a, b, bar, zero), b_bar = b_bar + if_at_most(a, b, zero, bar);
}
}  // namespace
