#define _GNU_SOURCE
#include "message.h"
#include "bytes.h"

#define LENGTH(literal) (sizeof(literal) - 1)
#define FIND(from, to, literal) memmem(from, (size_t)((to) - (from)), literal, LENGTH(literal))
#define STARTS(text, length, literal) ((length) >= LENGTH(literal) && memcmp(text, literal, LENGTH(literal)) == 0)

static uint32_t hash(const char *text, size_t length) {
  uint32_t value = 2166136261u;
  for (size_t i = 0; i < length; i++) value = (value ^ (uint8_t)text[i]) * 16777619u;
  return value;
}

enum { TABLE = MAX_VEHICLES * 2, MAX_ID = 64 };

static int32_t vehicle_number(const char *id, size_t length) {
  static struct { char id[MAX_ID]; uint8_t length; int32_t number; } table[TABLE];
  static int32_t known;
  if (length == 0 || length > MAX_ID) return -1;
  uint32_t at = hash(id, length) % TABLE;
  for (; table[at].length > 0; at = (at + 1) % TABLE)
    if (table[at].length == length && memcmp(table[at].id, id, length) == 0) return table[at].number;
  if (known == MAX_VEHICLES) return -1;
  memcpy(table[at].id, id, length);
  table[at].length = (uint8_t)length;
  return table[at].number = known++;
}

static Update read_update(const char *from, const char *to) {
  Update update = {.time_ms = 0, .vehicle = -1};
  const char *id = FIND(from, to, "\"vehicle_id\":\"");
  if (id != NULL) {
    id += LENGTH("\"vehicle_id\":\"");
    const char *end = memchr(id, '"', (size_t)(to - id));
    if (end != NULL) update.vehicle = vehicle_number(id, (size_t)(end - id));
  }
  const char *time = FIND(from, to, "\"timestamp\":");
  if (time != NULL)
    for (time += LENGTH("\"timestamp\":"); time < to && *time >= '0' && *time <= '9'; time++)
      update.time_ms = (int64_t)((uint64_t)update.time_ms * 10 + (uint64_t)(*time - '0'));
  return update;
}

static void parse(Message *message, const char *text, size_t length) {
  const char *end = text + length;
  message->count = 0;
  message->is_snapshot = STARTS(text, length, "{\"type\":\"snapshot\"");
  message->is_leave = STARTS(text, length, "{\"type\":\"leave\"");
  for (const char *from = FIND(text, end, "\"update_type\""), *next; from != NULL; from = next) {
    const char *inside = from + LENGTH("\"update_type\"");
    next = FIND(inside, end, "\"update_type\"");
    if (message->count == message->capacity) {
      message->capacity = message->capacity * 2 + 16;
      message->updates = need_memory(realloc(message->updates, message->capacity * sizeof *message->updates));
    }
    message->updates[message->count++] = read_update(inside, next != NULL ? next : end);
  }
  message->is_error = message->count == 0 && FIND(text, end, "\"error\"") != NULL;
}

/** Few bytes say which message it may be; all of them then say whether it is. */
static uint32_t sample_hash(const char *text, size_t length) {
  char sample[32];
  for (size_t i = 0; i < sizeof sample; i++) sample[i] = text[i * length / sizeof sample];
  return hash(sample, sizeof sample) ^ (uint32_t)length;
}

const Message *read_message(const char *text, size_t length) {
  static struct { Bytes text; Message message; } read[256];
  static const Message nothing;
  if (length == 0) return &nothing;
  size_t slot = sample_hash(text, length) % (sizeof read / sizeof *read);
  if (read[slot].text.length != length || memcmp(read[slot].text.data, text, length) != 0) {
    bytes_set(&read[slot].text, text, length);
    parse(&read[slot].message, text, length);
  }
  return &read[slot].message;
}
