// A day and its reverse as XLA custom calls. Operands and results are in the order of day.py; one of size 0 is absent.
#include "day.hpp"
#include "xla/ffi/api/ffi.h"
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>

namespace ffi = xla::ffi;

extern const Kernels portable;
#ifdef __x86_64__
extern const Kernels avx2, avx512;
#endif

// The widest instruction set that this processor has, up to 0 (any), 1 (portable), 2 (AVX2), 3 (AVX-512).
static int variant_up_to(int64_t most) {
#ifdef __x86_64__
  const bool two = __builtin_cpu_supports("avx2");
  const bool five = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                    __builtin_cpu_supports("avx512bw");
  if (five && (most == 0 || most >= 3)) return 3;
  if (two && (most == 0 || most >= 2)) return 2;
#endif
  (void)most;
  return 1;
}
static const Kernels& kernels_up_to(int64_t most) {
  switch (variant_up_to(most)) {
#ifdef __x86_64__
    case 3: return avx512;
    case 2: return avx2;
#endif
    default: return portable;
  }
}
template <class T> const Phases<T>& phases(const Kernels& of);
template <> const Phases<float>& phases(const Kernels& of) { return of.single; }
template <> const Phases<double>& phases(const Kernels& of) { return of.twice; }

// Parts are claimed, by the caller too: where all threads of the pool wait in calls like this one, none waits for ever.
template <class Job> static void in_parts(ffi::ThreadPool& pool, int64_t parts, const Job& job) {
  if (parts == 1) { job(0); return; }
  struct Shared {
    const Job* job;
    int64_t parts;
    std::atomic<int64_t> next{0}, done{0};
    std::mutex mutex;
    std::condition_variable all;
    void work() {
      for (int64_t part; (part = next.fetch_add(1)) < parts;) {
        (*job)(part);
        if (done.fetch_add(1) + 1 == parts) { std::lock_guard<std::mutex> lock(mutex); all.notify_one(); }
      }
    }
  };
  auto shared = std::make_shared<Shared>();
  shared->job = &job, shared->parts = parts;
  const int64_t helpers = std::min<int64_t>(parts, pool.num_threads()) - 1;
  for (int64_t helper = 0; helper < helpers; helper++) pool.Schedule([shared] { shared->work(); });
  shared->work();
  for (int spins = 0; spins < 4000 && shared->done.load() < parts; spins++) {
#ifdef __x86_64__
    __builtin_ia32_pause();
#endif
  }
  std::unique_lock<std::mutex> lock(shared->mutex);
  shared->all.wait(lock, [&] { return shared->done.load() == parts; });
}

struct Buffer { void* at; int64_t rows, columns; };
template <class Of> static Buffer buffer_of(Of&& found) {
  const ffi::AnyBuffer buffer = *found;
  auto dims = buffer.dimensions();
  const int64_t rows = dims.size() ? dims[0] : 1, columns = dims.size() > 1 ? dims[dims.size() - 1] : 1;
  return {buffer.element_count() ? buffer.untyped_data() : nullptr, rows, columns};
}
struct Operands {
  ffi::RemainingArgs& args;
  size_t next = 0;
  Buffer take() { return buffer_of(args.get<ffi::AnyBuffer>(next++)); }
  template <class T> const T* at() { return static_cast<const T*>(take().at); }
  template <class T> Number<T> number(int64_t members) {
    const Buffer of = take();
    const bool by_member = of.columns > 1 || members == 1;
    return {static_cast<const T*>(of.at), of.rows > 1 ? of.columns : 0, by_member && of.columns == members && members > 1};
  }
};
struct Results {
  ffi::RemainingRets& rets;
  size_t next = 0;
  template <class T> T* at() {
    ffi::Result<ffi::AnyBuffer> of = *rets.get<ffi::AnyBuffer>(next++);
    return of->element_count() ? static_cast<T*>(of->untyped_data()) : nullptr;
  }
};

struct How { int64_t parts, target, basis, rationing, leontief, rule, variant; };

template <class T> static Day<T> day_of(Operands& operands, const How& how, int64_t firms, int64_t links, int64_t members) {
  Day<T> day{};
  day.firms = firms, day.links = links, day.members = members, day.parts = how.parts;
  day.target = how.target, day.basis = how.basis, day.rationing = how.rationing, day.leontief = how.leontief, day.rule = how.rule;
  for (const int32_t** of : {&day.supplier, &day.of_pool, &day.of_buyer, &day.of_links, &day.several, &day.of_several}) *of = operands.at<int32_t>();
  day.amount = operands.at<T>(), day.pool_amount = operands.at<T>(), day.slope = operands.at<T>(), day.output = operands.at<T>();
  for (Number<T>* number : {&day.productivity, &day.final_demand, &day.days, &day.pace, &day.capacity, &day.enough, &day.hiring, &day.firing})
    *number = operands.number<T>(members);
  for (const T** of : {&day.stock, &day.received, &day.cover, &day.use, &day.wanted, &day.level}) *of = operands.at<T>();
  return day;
}

template <class T> static void forward(ffi::ThreadPool& pool, const How& how, ffi::RemainingArgs& args, ffi::RemainingRets& rets, int64_t firms, int64_t links, int64_t members) {
  Operands operands{args};
  Results results{rets};
  Day<T> day = day_of<T>(operands, how, firms, links, members);
  for (T** of : {&day.stock_out, &day.received_out, &day.cover_out, &day.use_out, &day.wanted_out, &day.level_out, &day.made, &day.asked, &day.most, &day.consumed,
                 &day.fill, &day.activity, &day.partial})
    *of = results.at<T>();
  const Phases<T>& of = phases<T>(kernels_up_to(how.variant));
  auto cut = [&](int64_t part) { return firms * part / how.parts; };
  in_parts(pool, how.parts, [&](int64_t part) { of.firms(day, cut(part), cut(part + 1)); });
  in_parts(pool, how.parts, [&](int64_t part) { of.links(day, part); });
  if (how.parts > 1) in_parts(pool, how.parts, [&](int64_t part) { of.sums(day, cut(part), cut(part + 1)); });
}

template <class T> static void reverse(ffi::ThreadPool& pool, const How& how, ffi::RemainingArgs& args, ffi::RemainingRets& rets, int64_t firms, int64_t links, int64_t members) {
  Operands operands{args};
  Results results{rets};
  Back<T> back{};
  Day<T>& day = back.day;
  day = day_of<T>(operands, how, firms, links, members);
  for (const T** of : {&back.stock_in, &back.received_in, &back.cover_in, &back.use_in, &back.wanted_in, &back.level_in, &back.made_in, &back.asked_in, &back.most_in,
                       &back.consumed_in})
    *of = operands.at<T>();
  for (T** of : {&back.stock, &back.received, &back.cover, &back.use, &back.wanted, &back.level, &back.productivity, &back.final_demand, &back.days, &back.pace, &back.capacity,
                 &back.enough, &back.hiring, &back.firing, &day.fill, &day.activity, &day.use_out, &day.wanted_out, &back.fill_bar, &back.activity_bar, &back.use_bar,
                 &back.wanted_bar})
    *of = results.at<T>();
  const Phases<T>& of = phases<T>(kernels_up_to(how.variant));
  auto cut = [&](int64_t part) { return firms * part / how.parts; };
  in_parts(pool, how.parts, [&](int64_t part) { of.firms(day, cut(part), cut(part + 1)); });
  in_parts(pool, how.parts, [&](int64_t part) { of.links_back(back, part); });
  in_parts(pool, how.parts, [&](int64_t part) { of.firms_back(back, cut(part), cut(part + 1)); });
}

template <bool back>
static ffi::Error call(ffi::ThreadPool pool, ffi::RemainingArgs args, ffi::RemainingRets rets, int64_t parts, int64_t target, int64_t basis, int64_t rationing, int64_t leontief,
                       int64_t rule, int64_t variant) {
  const How how{parts, target, basis, rationing, leontief, rule, variant};
  const ffi::AnyBuffer amount = *args.get<ffi::AnyBuffer>(6), output = *args.get<ffi::AnyBuffer>(9), stock = *args.get<ffi::AnyBuffer>(18);
  const int64_t firms = output.element_count(), links = amount.element_count(), members = stock.dimensions()[1];
  if (amount.element_type() == ffi::F32) {
    if (back) reverse<float>(pool, how, args, rets, firms, links, members);
    else forward<float>(pool, how, args, rets, firms, links, members);
  } else if (amount.element_type() == ffi::F64) {
    if (back) reverse<double>(pool, how, args, rets, firms, links, members);
    else forward<double>(pool, how, args, rets, firms, links, members);
  } else {
    return ffi::Error::InvalidArgument("a day is of float32 or float64");
  }
  return ffi::Error::Success();
}

#define HANDLER(name, back) \
  XLA_FFI_DEFINE_HANDLER_SYMBOL(name, call<back>, ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().RemainingArgs().RemainingRets() \
    .Attr<int64_t>("parts").Attr<int64_t>("target").Attr<int64_t>("basis").Attr<int64_t>("rationing").Attr<int64_t>("leontief") \
    .Attr<int64_t>("rule").Attr<int64_t>("variant"))
#pragma GCC visibility push(default)
HANDLER(shockmesh_day, false);
HANDLER(shockmesh_day_back, true);

// What this library was built from, and the widest instruction set that it uses here.
extern "C" const char* shockmesh_sources() { return SOURCES; }
extern "C" int shockmesh_variant() { return variant_up_to(0); }
#pragma GCC visibility pop
