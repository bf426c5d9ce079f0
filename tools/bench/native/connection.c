#define _GNU_SOURCE
#include "connection.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };
enum { MAX_HEAD = 16 << 10, MAX_CONTROL = 125, MAX_SENT = 64 << 10 };

/** The key and its answer are the example of RFC 6455, 1.3: always the same, so that nothing has to be hashed. */
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

void connection_cut(Connection *connection) {
  if (connection->fd >= 0) close(connection->fd);
  connection->fd = -1;
  connection->state = connection->state == OPEN ? CLOSED : IDLE;
  connection->rest.length = connection->fragments.length = 0;
  connection->is_fragmented = false;
}

void connection_open(Connection *connection, const struct sockaddr_in *address) {
  connection->state = CONNECTING;
  connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (connection->fd < 0) {
    perror("swarm: no socket");
    exit(1);
  }
  int yes = 1;
  struct linger reset = {.l_onoff = 1, .l_linger = 0};
  setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  if (connect(connection->fd, (const struct sockaddr *)address, sizeof *address) != 0 && errno != EINPROGRESS)
    connection_cut(connection);
}

static void send_all(Connection *connection, const char *data, size_t length) {
  if (send(connection->fd, data, length, MSG_NOSIGNAL) != (ssize_t)length) connection_cut(connection);
}

void connection_upgrade(Connection *connection, const char *path, const char *protocol) {
  char head[1024];
  int length = snprintf(head, sizeof head,
    "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: " KEY
    "\r\nSec-WebSocket-Version: 13\r\n%s%s%s\r\n",
    path, protocol ? "Sec-WebSocket-Protocol: " : "", protocol ? protocol : "", protocol ? "\r\n" : "");
  if (length >= (int)sizeof head) return connection_cut(connection);
  connection->state = UPGRADING;
  send_all(connection, head, (size_t)length);
}

static void send_frame(Connection *connection, int opcode, const char *payload, size_t length) {
  static char frame[MAX_SENT + 14];
  if (length > MAX_SENT) return connection_cut(connection);
  size_t head = 2;
  frame[0] = (char)(0x80 | opcode);
  if (length < 126) frame[1] = (char)(0x80 | length);
  else if (length <= UINT16_MAX) {
    frame[1] = (char)(0x80 | 126);
    frame[head++] = (char)(length >> 8);
    frame[head++] = (char)length;
  } else {
    frame[1] = (char)(0x80 | 127);
    for (int shift = 56; shift >= 0; shift -= 8) frame[head++] = (char)((uint64_t)length >> shift);
  }
  // A mask of zeros: clients have to mask, and nothing lies between us and the server that a mask would protect.
  memset(frame + head, 0, 4);
  memcpy(frame + head + 4, payload, length);
  send_all(connection, frame, head + 4 + length);
}

void connection_send(Connection *connection, const char *text, size_t length) {
  send_frame(connection, TEXT, text, length);
}

/** How long the head of the answer is, 0 while it is not complete. */
static size_t read_answer(Connection *connection, const char *data, size_t length) {
  const char *end = memmem(data, length, "\r\n\r\n", 4);
  if (end == NULL) {
    if (length > MAX_HEAD) connection_cut(connection);
    return 0;
  }
  size_t head = (size_t)(end - data) + 4;
  if (length < 12 || memcmp(data + 8, " 101", 4) != 0 || memmem(data, head, ACCEPT, strlen(ACCEPT)) == NULL) {
    connection_cut(connection);
    return 0;
  }
  connection->state = OPEN;
  on_open(connection);
  return head;
}

static void read_payload(Connection *connection, int opcode, bool is_last, const char *payload, size_t length) {
  if (opcode == PING) return send_frame(connection, PONG, payload, length);
  if (opcode == PONG) return;
  if (opcode == CLOSE) {
    on_close_code(length >= 2 ? (uint8_t)payload[0] << 8 | (uint8_t)payload[1] : 1005);
    return connection_cut(connection);
  }
  if (opcode > BINARY || (opcode == CONTINUATION) != connection->is_fragmented) return connection_cut(connection);
  if (is_last && !connection->is_fragmented) return on_message(connection, payload, length);
  if (connection->fragments.length + length > MAX_MESSAGE) return connection_cut(connection);
  bytes_append(&connection->fragments, payload, length);
  connection->is_fragmented = !is_last;
  if (!is_last) return;
  on_message(connection, connection->fragments.data, connection->fragments.length);
  connection->fragments.length = 0;
}

/** Reads one frame; how long it was, 0 while it is not complete. A frame that no server may send cuts the connection. */
static size_t read_frame(Connection *connection, const char *data, size_t length) {
  const uint8_t *head = (const uint8_t *)data;
  if (length < 2) return 0;
  int opcode = head[0] & 0x0f;
  bool is_last = head[0] & 0x80, is_control = opcode & 0x08;
  uint64_t size = head[1] & 0x7f;
  size_t start = size < 126 ? 2 : size == 126 ? 4 : 10;
  if (length < start) return 0;
  if (start > 2) size = 0;
  for (size_t i = 2; i < start; i++) size = size << 8 | head[i];
  bool is_masked = head[1] & 0x80, has_extension = head[0] & 0x70;
  if (is_masked || has_extension || size > MAX_MESSAGE || (is_control && (!is_last || size > MAX_CONTROL))) {
    connection_cut(connection);
    return 0;
  }
  if (length - start < size) return 0;
  read_payload(connection, opcode, is_last, data + start, (size_t)size);
  return start + (size_t)size;
}

void connection_read(Connection *connection) {
  enum { CHUNK = 256 << 10 };
  static char data[MAX_MESSAGE + MAX_HEAD + CHUNK];
  size_t length = connection->rest.length;
  if (length > 0) memcpy(data, connection->rest.data, length);
  ssize_t came = recv(connection->fd, data + length, CHUNK, 0);
  if (came < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (came <= 0) return connection_cut(connection);
  on_bytes((size_t)came);
  length += (size_t)came;
  size_t done = 0;
  if (connection->state == UPGRADING) done = read_answer(connection, data, length);
  for (size_t frame = 1; frame > 0 && connection->state == OPEN; done += frame)
    frame = read_frame(connection, data + done, length - done);
  if (connection->fd >= 0) bytes_set(&connection->rest, data + done, length - done);
}
