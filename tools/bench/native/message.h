// What a server says in one WebSocket message, read by markers: however it wraps its updates, they are the JSON of our contract.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MAX_VEHICLES = 16384 };

typedef struct {
  /** Epoch milliseconds; 0: it carries none. */
  int64_t time_ms;
  /** A number of this process's own for the vehicle; -1: it names none. */
  int32_t vehicle;
} Update;

typedef struct {
  Update *updates;
  size_t count, capacity;
  bool is_snapshot, is_leave, is_error;
} Message;

/** The answer holds until the next call. A message that was read before, whoever received it, costs one comparison. */
const Message *read_message(const char *text, size_t length);
