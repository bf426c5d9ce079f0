// Bytes that grow.
#pragma once
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  char *data;
  size_t length, capacity;
} Bytes;

static inline void *need_memory(void *memory) {
  if (memory != NULL) return memory;
  fputs("no memory is left\n", stderr);
  exit(1);
}

static inline void bytes_append(Bytes *bytes, const void *data, size_t length) {
  if (bytes->length + length > bytes->capacity) {
    bytes->capacity = (bytes->length + length) * 2;
    bytes->data = need_memory(realloc(bytes->data, bytes->capacity));
  }
  if (length > 0) memcpy(bytes->data + bytes->length, data, length);
  bytes->length += length;
}

static inline void bytes_set(Bytes *bytes, const void *data, size_t length) {
  bytes->length = 0;
  bytes_append(bytes, data, length);
}
