// N WebSocket clients in one process: counts what they receive, and measures how old updates are on arrival.
//
//   swarm -p PORT -n CLIENTS [-u PATH] [-s SUBPROTOCOL] [-e VEHICLES] [-f FILE] [-l FILE]
//     -e  how many vehicles make the whole picture of a client
//     -f  what client i says first: line i of the file, a TAB between messages
//     -l  what it says later: each second the next message of its line, in a circle
//
// It says {"event":"connected"}, then obeys the lines of its stdin, and ends with it:
//   count     → {"event":"count"}: what came since the last count
//   stall K   the first K clients stop reading
//   read      → {"event":"reading"}: they read again → {"event":"current"} when each has an update from after this moment
//   storm     all are cut and come again at once → {"event":"picture"} when each has seen all its vehicles
//   expect T  → {"event":"expecting"} → {"event":"picture"} when each has seen all its vehicles as of T (epoch ms) or later
#define _GNU_SOURCE
#include "ages.h"
#include "connection.h"
#include "message.h"
#include "script.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

/** In flight while connecting: below what servers let wait in their backlog. */
enum { PATIENT = 200, RETRY_MS = 100, CONNECT_MS = 60000, WAIT_MS = 30000, HOUSEKEEPING_MS = 5, NAP_US = 1000 };

typedef struct {
  /** First: a connection's address is its client's. */
  Connection connection;
  bool is_stalled;
  /** Epoch ms; 0: not yet. */
  double opened_at, complete_at, current_at, retry_at, speaks_at;
  size_t said;
  uint32_t seen;
  uint8_t has_seen[MAX_VEHICLES / 8];
} Client;

static struct {
  uint64_t messages, updates, snapshot_updates, leaves, errors, bytes;
  double since;
  Ages ages;
} counts;

/** Something that all clients are waited for. */
typedef struct {
  bool is_on;
  double since;
} Wait;

static Client *clients;
static size_t client_count;
static size_t in_flight, most_in_flight = PATIENT, stalled;
static uint64_t refused;
static int last_close_code;
static uint32_t whole_picture;
static Script first, later;
static const char *path = "/", *protocol;
static struct sockaddr_in address = {.sin_family = AF_INET};
static int epoll;
static double now;
static Wait connecting, picture, reading;
/** Updates from before do not count for the picture. */
static int64_t picture_of;

static double clock_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_REALTIME, &time);
  return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static void watch(Client *client, int operation, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = client};
  epoll_ctl(epoll, operation, client->connection.fd, &event);
}

/* ── what a client does ──────────────────────────────────────────────────────────────────────────────────────── */

void on_open(Connection *connection) {
  Client *client = (Client *)connection;
  size_t index = (size_t)(client - clients);
  client->opened_at = now;
  // Not all of them in the same moment.
  client->speaks_at = now + 1000 + 1000.0 * (double)index / (double)client_count;
  const Line *line = script_line(&first, index);
  for (size_t i = 0; i < line->count && connection->state == OPEN; i++)
    connection_send(connection, line->messages[i], strlen(line->messages[i]));
}

static void speak(Client *client) {
  const Line *line = script_line(&later, (size_t)(client - clients));
  if (line->count == 0 || client->connection.state != OPEN || now < client->speaks_at) return;
  const char *message = line->messages[client->said++ % line->count];
  client->speaks_at += 1000;
  connection_send(&client->connection, message, strlen(message));
}

void on_bytes(size_t bytes) { counts.bytes += bytes; }

void on_close_code(int close_code) { last_close_code = close_code; }

static void see(Client *client, const Update *update) {
  if (update->vehicle < 0 || update->time_ms < picture_of) return;
  uint8_t *byte = &client->has_seen[update->vehicle / 8], bit = (uint8_t)(1 << update->vehicle % 8);
  if (*byte & bit) return;
  *byte |= bit;
  if (++client->seen == whole_picture) client->complete_at = now;
}

void on_message(Connection *connection, const char *text, size_t length) {
  Client *client = (Client *)connection;
  const Message *message = read_message(text, length);
  counts.messages++;
  counts.leaves += message->is_leave;
  if (message->is_error && counts.errors++ == 0) fprintf(stderr, "swarm: %.*s\n", length < 300 ? (int)length : 300, text);
  *(message->is_snapshot ? &counts.snapshot_updates : &counts.updates) += message->count;
  for (size_t i = 0; i < message->count; i++) {
    const Update *update = &message->updates[i];
    // A snapshot is as old as the last word of each vehicle, and what waited for a stalled client as long as that slept.
    if (update->time_ms > 0 && !message->is_snapshot && !client->is_stalled)
      ages_add(&counts.ages, now - (double)update->time_ms);
    if (picture.is_on) see(client, update);
    if (client->current_at == 0 && (double)update->time_ms >= reading.since) client->current_at = now;
  }
}

static void handle(Client *client) {
  Connection *connection = &client->connection;
  State before = connection->state;
  now = clock_ms();
  if (before == CONNECTING) {
    connection_upgrade(connection, path, protocol);
    if (connection->state == UPGRADING) watch(client, EPOLL_CTL_MOD, EPOLLIN);
  } else if (before == UPGRADING || before == OPEN) connection_read(connection);
  if (before < OPEN && (connection->state == IDLE || connection->state >= OPEN)) in_flight--;
  if (before < OPEN && connection->state == IDLE) {
    refused++;
    client->retry_at = now + RETRY_MS;
  }
}

static void open_some(void) {
  for (size_t i = 0; i < client_count && in_flight < most_in_flight; i++) {
    Client *client = &clients[i];
    if (client->connection.state != IDLE || now < client->retry_at) continue;
    connection_open(&client->connection, &address);
    if (client->connection.state == CONNECTING) {
      in_flight++;
      watch(client, EPOLL_CTL_ADD, EPOLLOUT);
    } else client->retry_at = now + RETRY_MS;
  }
}

/* ── what the swarm says ─────────────────────────────────────────────────────────────────────────────────────── */

static size_t count_state(State state) {
  size_t count = 0;
  for (size_t i = 0; i < client_count; i++) count += clients[i].connection.state == state;
  return count;
}

static void say_count(void) {
  printf("{\"event\":\"count\",\"seconds\":%.3f,\"open\":%zu,\"closed\":%zu,\"closeCode\":%d,\"refused\":%" PRIu64
         ",\"messages\":%" PRIu64 ",\"updates\":%" PRIu64 ",\"snapshotUpdates\":%" PRIu64 ",\"leaves\":%" PRIu64
         ",\"errors\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"p50Ms\":%.3f,\"p99Ms\":%.3f}\n",
    (now - counts.since) / 1e3, count_state(OPEN), count_state(CLOSED), last_close_code, refused, counts.messages,
    counts.updates, counts.snapshot_updates, counts.leaves, counts.errors, counts.bytes,
    ages_quantile(&counts.ages, 0.5), ages_quantile(&counts.ages, 0.99));
  memset(&counts, 0, sizeof counts);
  counts.since = now;
}

static int ascending(const void *a, const void *b) {
  double difference = *(const double *)a - *(const double *)b;
  return (difference > 0) - (difference < 0);
}

/** Says when the clients came to a moment of theirs, since the wait began; and when the last of those who had to was open. */
static void say_moments(const char *event, Wait *wait, size_t of, const double *(*moment)(const Client *)) {
  double *after = need_memory(calloc(of, sizeof *after));
  size_t count = 0, lost = 0;
  double last_open = 0;
  for (size_t i = 0; i < of; i++) {
    if (clients[i].opened_at - wait->since > last_open) last_open = clients[i].opened_at - wait->since;
    lost += clients[i].connection.state == CLOSED;
    if (*moment(&clients[i]) > 0) after[count++] = *moment(&clients[i]) - wait->since;
  }
  qsort(after, count, sizeof *after, ascending);
  printf("{\"event\":\"%s\",\"of\":%zu,\"count\":%zu,\"lost\":%zu,\"openMs\":%.1f,\"p50Ms\":%.1f,\"lastMs\":%.1f}\n", event,
    of, count, lost, last_open, count ? after[count / 2] : 0, count ? after[count - 1] : 0);
  free(after);
  wait->is_on = false;
}

static const double *opened_at(const Client *client) { return &client->opened_at; }
static const double *complete_at(const Client *client) { return &client->complete_at; }
static const double *current_at(const Client *client) { return &client->current_at; }

static bool is_over(const Wait *wait, double within_ms, size_t of, const double *(*moment)(const Client *)) {
  if (now - wait->since >= within_ms) return true;
  for (size_t i = 0; i < of; i++)
    if (*moment(&clients[i]) == 0 && clients[i].connection.state != CLOSED) return false;
  return true;
}

static void end_waits(void) {
  if (connecting.is_on && is_over(&connecting, CONNECT_MS, client_count, opened_at))
    say_moments("connected", &connecting, client_count, opened_at);
  if (picture.is_on && is_over(&picture, WAIT_MS, client_count, complete_at)) {
    say_moments("picture", &picture, client_count, complete_at);
    most_in_flight = PATIENT;
  }
  if (reading.is_on && is_over(&reading, WAIT_MS, stalled, current_at)) {
    say_moments("current", &reading, stalled, current_at);
    for (size_t i = 0; i < stalled; i++) clients[i].is_stalled = false;
    stalled = 0;
  }
}

/* ── what it is told ─────────────────────────────────────────────────────────────────────────────────────────── */

static void expect(int64_t since) {
  picture = (Wait){.is_on = true, .since = now};
  picture_of = since;
  for (size_t i = 0; i < client_count; i++) {
    clients[i].seen = 0;
    clients[i].complete_at = 0;
    memset(clients[i].has_seen, 0, sizeof clients[i].has_seen);
  }
}

static void storm(void) {
  expect(0);
  most_in_flight = client_count;
  in_flight = 0;
  for (size_t i = 0; i < client_count; i++) {
    connection_cut(&clients[i].connection);
    clients[i].connection.state = IDLE;
    clients[i].retry_at = 0;
  }
  picture.since = now = clock_ms();
  open_some();
}

static void stall(size_t count) {
  stalled = count < client_count ? count : client_count;
  for (size_t i = 0; i < stalled; i++) {
    clients[i].is_stalled = true;
    if (clients[i].connection.state == OPEN) watch(&clients[i], EPOLL_CTL_DEL, 0);
  }
}

static void read_again(void) {
  reading = (Wait){.is_on = true, .since = now};
  for (size_t i = 0; i < stalled; i++) {
    clients[i].current_at = 0;
    if (clients[i].connection.state == OPEN) watch(&clients[i], EPOLL_CTL_ADD, EPOLLIN);
  }
  puts("{\"event\":\"reading\"}");
}

static void obey(const char *line) {
  now = clock_ms();
  if (strcmp(line, "count") == 0) say_count();
  else if (strcmp(line, "read") == 0) read_again();
  else if (strcmp(line, "storm") == 0) storm();
  else if (strncmp(line, "stall ", 6) == 0) stall(strtoul(line + 6, NULL, 10));
  else if (strncmp(line, "expect ", 7) == 0) {
    expect(strtoll(line + 7, NULL, 10));
    puts("{\"event\":\"expecting\"}");
  }
  else fprintf(stderr, "swarm: no such command: %s\n", line);
}

/** False when nobody is there to give any more. */
static bool read_commands(void) {
  static Bytes commands;
  char some[256];
  ssize_t came = read(STDIN_FILENO, some, sizeof some);
  if (came < 0) return errno == EAGAIN || errno == EINTR;
  if (came == 0) return false;
  bytes_append(&commands, some, (size_t)came);
  for (char *end; (end = memchr(commands.data, '\n', commands.length)) != NULL;) {
    *end = '\0';
    obey(commands.data);
    size_t length = (size_t)(end - commands.data) + 1;
    commands.length -= length;
    memmove(commands.data, end + 1, commands.length);
  }
  return true;
}

static bool read_arguments(int count, char **words) {
  for (int option; (option = getopt(count, words, "p:n:u:s:e:f:l:")) != -1;) switch (option) {
    case 'p': address.sin_port = htons((uint16_t)atoi(optarg)); break;
    case 'n': client_count = strtoul(optarg, NULL, 10); break;
    case 'u': path = optarg; break;
    case 's': protocol = optarg; break;
    case 'e': whole_picture = (uint32_t)strtoul(optarg, NULL, 10); break;
    case 'f': first = script_read(optarg); break;
    case 'l': later = script_read(optarg); break;
    default: return false;
  }
  return client_count > 0 && address.sin_port != 0;
}

int main(int count, char **words) {
  if (!read_arguments(count, words)) {
    fputs("usage: swarm -p PORT -n CLIENTS [-u PATH] [-s SUBPROTOCOL] [-e VEHICLES] [-f FILE] [-l FILE]\n", stderr);
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  setvbuf(stdout, NULL, _IOLBF, 0);
  fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  clients = need_memory(calloc(client_count, sizeof *clients));
  for (size_t i = 0; i < client_count; i++) clients[i].connection.fd = -1;
  epoll = epoll_create1(EPOLL_CLOEXEC);
  now = counts.since = clock_ms();
  connecting = (Wait){.is_on = true, .since = now};
  static struct epoll_event events[4096];
  enum { MANY = sizeof events / sizeof *events };
  for (double kept_at = 0;;) {
    int ready = epoll_wait(epoll, events, MANY, 0);
    for (int i = 0; i < ready; i++) handle(events[i].data.ptr);
    now = clock_ms();
    if (now - kept_at >= HOUSEKEEPING_MS) {
      kept_at = now;
      if (!read_commands()) return 0;
      open_some();
      if (later.count > 0)
        for (size_t i = 0; i < client_count; i++) speak(&clients[i]);
      end_waits();
    }
    // A client that is awake for each frame costs the server's core an interrupt to wake it; real ones sit elsewhere.
    if (ready < MANY) usleep(NAP_US);
  }
}
