// What the clients of a swarm say: a file with a line for each of them, a TAB between its messages.
#pragma once
#include <stddef.h>

typedef struct {
  char **messages;
  size_t count;
} Line;

typedef struct {
  Line *lines;
  size_t count;
} Script;

/** An empty script for NULL. Ends the process when the file can't be read. */
Script script_read(const char *path);
/** The line of a client; those beyond the last line begin at the first again. An empty one when there are none. */
const Line *script_line(const Script *script, size_t client);
