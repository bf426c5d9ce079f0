// A WebSocket client over a bare, non-blocking socket: the handshake, and messages in whatever frames they come.
#pragma once
#include "bytes.h"
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

enum { MAX_MESSAGE = 8 << 20 };

//   IDLE ──connect──► CONNECTING ──► UPGRADING ──► OPEN ──► CLOSED
//     ▲                    │             │
//     └──────────────── refused ─────────┘
typedef enum { IDLE, CONNECTING, UPGRADING, OPEN, CLOSED } State;

typedef struct {
  State state;
  int fd;
  /** Bytes of a frame of which the rest is still to come. */
  Bytes rest;
  /** Payload of a message of which more frames are still to come. */
  Bytes fragments;
  bool is_fragmented;
} Connection;

void connection_open(Connection *connection, const struct sockaddr_in *address);
/** To be called when the socket is writable while CONNECTING. `protocol` may be NULL. */
void connection_upgrade(Connection *connection, const char *path, const char *protocol);
/** To be called when the socket is readable. Answers pings; calls the two below. */
void connection_read(Connection *connection);
/** A client that can't say its few bytes at once is cut. */
void connection_send(Connection *connection, const char *text, size_t length);
/** With a reset: no socket lingers in TIME_WAIT. */
void connection_cut(Connection *connection);

/** What the user of this file does. */
void on_open(Connection *connection);
void on_message(Connection *connection, const char *text, size_t length);
/** `bytes` came in; `close_code` is 0 until the server says one. */
void on_bytes(size_t bytes);
void on_close_code(int close_code);
