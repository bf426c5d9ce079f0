// How old updates were on arrival: a histogram in quarters of a millisecond, up to a minute.
#pragma once
#include <stdint.h>

enum { AGES_PER_MS = 4, AGE_BUCKETS = 60000 * AGES_PER_MS };

typedef struct {
  uint64_t count;
  uint64_t buckets[AGE_BUCKETS];
} Ages;

static inline void ages_add(Ages *ages, double ms) {
  double bucket = ms * AGES_PER_MS;
  ages->count++;
  ages->buckets[bucket <= 0 ? 0 : bucket >= AGE_BUCKETS ? AGE_BUCKETS - 1 : (uint32_t)bucket]++;
}

/** In milliseconds; 0 when there are none. */
static inline double ages_quantile(const Ages *ages, double q) {
  if (ages->count == 0) return 0;
  uint64_t below = 0, rank = (uint64_t)(q * (double)(ages->count - 1));
  for (uint32_t bucket = 0; bucket < AGE_BUCKETS; bucket++) {
    below += ages->buckets[bucket];
    if (below > rank) return (bucket + 0.5) / AGES_PER_MS;
  }
  return AGE_BUCKETS / AGES_PER_MS;
}
