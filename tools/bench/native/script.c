#define _GNU_SOURCE
#include "script.h"
#include "bytes.h"

static Line split(char *text) {
  Line line = {0};
  char *rest;
  for (char *word = strtok_r(text, "\t\n", &rest); word != NULL; word = strtok_r(NULL, "\t\n", &rest)) {
    line.messages = need_memory(realloc(line.messages, (line.count + 1) * sizeof *line.messages));
    line.messages[line.count++] = need_memory(strdup(word));
  }
  return line;
}

Script script_read(const char *path) {
  Script script = {0};
  if (path == NULL) return script;
  FILE *file = fopen(path, "r");
  if (file == NULL) {
    perror(path);
    exit(1);
  }
  char *text = NULL;
  size_t capacity = 0;
  while (getline(&text, &capacity, file) > 0) {
    script.lines = need_memory(realloc(script.lines, (script.count + 1) * sizeof *script.lines));
    script.lines[script.count++] = split(text);
  }
  free(text);
  fclose(file);
  return script;
}

const Line *script_line(const Script *script, size_t client) {
  static const Line nothing;
  return script->count == 0 ? &nothing : &script->lines[client % script->count];
}
