// The floor of every fan-out: the same bytes to the same number of sockets, with nothing but send() in a loop.
//
//   bare-send PORT CLIENTS BYTES FRAMES_PER_SECOND
//
// Opens a WebSocket for each of the swarm's clients, then sends each of them a frame of so many bytes, so many times a second.
#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/** What the swarm's key, which is the example of RFC 6455, is answered with. */
static const char upgrade[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                              "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static int listen_on(uint16_t port) {
  int server = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
  struct sockaddr_in address = {
    .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(server, (struct sockaddr *)&address, sizeof address) != 0 || listen(server, 1024) != 0) fail("bare-send: listen");
  return server;
}

static int welcome(int server) {
  int client = accept(server, NULL, NULL), yes = 1;
  if (client < 0) fail("bare-send: accept");
  setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  char request[4096];
  for (size_t length = 0; memmem(request, length, "\r\n\r\n", 4) == NULL;) {
    ssize_t came = recv(client, request + length, sizeof request - length, 0);
    if (came <= 0) fail("bare-send: handshake");
    length += (size_t)came;
  }
  if (send(client, upgrade, sizeof upgrade - 1, MSG_NOSIGNAL) < 0) fail("bare-send: handshake");
  return client;
}

/** A text frame that is `length` long altogether: spaces with an empty list in front. */
static char *make_frame(size_t length) {
  static const char start[] = "{\"updates\":[]}";
  size_t head = length < 128 ? 2 : length < 4 + 65536 ? 4 : 10, payload = length - head;
  char *frame = malloc(length);
  if (frame == NULL) fail("bare-send");
  memset(frame, ' ', length);
  frame[0] = (char)0x81;
  frame[1] = (char)(head == 2 ? payload : head == 4 ? 126 : 127);
  for (size_t i = head, rest = payload; i > 2; rest >>= 8) frame[--i] = (char)rest;
  memcpy(frame + head, start, payload < sizeof start - 1 ? payload : sizeof start - 1);
  return frame;
}

static double seconds_now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int count, char **words) {
  size_t clients = count == 5 ? strtoul(words[2], NULL, 10) : 0, length = count == 5 ? strtoul(words[3], NULL, 10) : 0;
  double rate = count == 5 ? atof(words[4]) : 0;
  if (clients == 0 || length < 16 || rate <= 0) {
    fputs("usage: bare-send PORT CLIENTS BYTES FRAMES_PER_SECOND\n", stderr);
    return 2;
  }
  int server = listen_on((uint16_t)atoi(words[1]));
  puts("listening");
  fflush(stdout);
  int *sockets = calloc(clients, sizeof *sockets);
  if (sockets == NULL) fail("bare-send");
  for (size_t i = 0; i < clients; i++) sockets[i] = welcome(server);
  char *frame = make_frame(length);
  for (double due = seconds_now();; due += 1 / rate) {
    double early = due - seconds_now();
    if (early > 0) usleep((useconds_t)(early * 1e6));
    for (size_t i = 0; i < clients; i++)
      if (send(sockets[i], frame, length, MSG_NOSIGNAL) != (ssize_t)length) return 0;
  }
}
