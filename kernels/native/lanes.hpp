// Neighbouring members in vectors of the machine's width: a row of L numbers with arithmetic, comparison and choice.
#pragma once
#include <cstdlib>
#include <cstring>
#include <limits>
#ifdef __x86_64__
#include <immintrin.h>
#endif

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
// a < b ? a : b, and below with 0, which x86 has as one instruction (whose second operand is what is no number).
template <class V> INLINE V lesser(V a, V b) { return a < b ? a : b; }
template <class V> INLINE V not_below_0(V a) { return a < 0 ? V{} : a; }
#ifdef __x86_64__
#define LESSER(V, prefix, kind) \
  INLINE V lesser(V a, V b) { return prefix##_min_##kind(a, b); } \
  INLINE V not_below_0(V a) { return prefix##_max_##kind(V{}, a); }
LESSER(__m128, _mm, ps) LESSER(__m128d, _mm, pd)
#ifdef __AVX2__
LESSER(__m256, _mm256, ps) LESSER(__m256d, _mm256, pd)
#endif
#ifdef __AVX512F__
LESSER(__m512, _mm512, ps) LESSER(__m512d, _mm512, pd)
#endif
#undef LESSER
#endif
template <class T, int L> INLINE Row<T, L> least(Row<T, L> a, const Row<T, L>& b) {
  for (int k = 0; k < a.K; k++) a.v[k] = lesser(a.v[k], b.v[k]);
  return a;
}
// What is no number stays none.
template <class T, int L> INLINE Row<T, L> positive(Row<T, L> a) {
  for (int k = 0; k < a.K; k++) a.v[k] = not_below_0(a.v[k]);
  return a;
}
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
