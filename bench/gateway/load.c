/*
 * Load from one thread over keep-alive connections, one request at a time on each, for a fixed length of time.
 *
 *   load PORT REQUEST_FILE CONNECTIONS WARM_MS WINDOW_MS MARK MARKS TAIL PID[,PID...]
 *
 * REQUEST_FILE holds one raw HTTP request, sent over and over. An answer is right when its status is 2xx, its body
 * holds MARK exactly MARKS times and its last bytes hold TAIL. Everything else is counted and the first such answer is
 * shown on stderr. After the warm-up it reads the CPU time of the PIDs (threads included), again at the end of the
 * window, then waits for the answers still under way. One line of JSON on stdout; only what ends, or for `marks`
 * arrives, inside the window is in it, but faults count whenever they happen.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_MAX = 16384, SAMPLES_MAX = 4 * 1024 * 1024, DRAIN_MS = 15000 };
enum { HEAD, BODY, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILER };

typedef struct {
  int fd, state, status, is_busy;
  char head[HEAD_MAX];
  size_t head_length;
  char line[64]; /* a chunk's size, or a trailer's first bytes */
  size_t line_length;
  uint64_t left; /* bytes of the body or of the current chunk still to come */
  char *body;
  size_t body_length, body_capacity, scanned;
  int marks;
  int64_t started_ns, first_ns;
} Connection;

static const char *mark, *tail;
static size_t mark_length, tail_length;
static int expected_marks, port, poller, is_draining, is_counting;
static char *request;
static size_t request_length;
static uint32_t *latencies, *firsts;
static size_t samples;
static uint64_t answers, bad_status, wrong_bytes, broken, marks_seen, all_answers;
static int shown;

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t cpu_ns(const char *pids) {
  int64_t ticks = 0;
  char copy[1024];
  snprintf(copy, sizeof copy, "%s", pids);
  for (char *pid = strtok(copy, ","); pid; pid = strtok(NULL, ",")) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%s/stat", pid);
    FILE *file = fopen(path, "r");
    if (!file) {
      fprintf(stderr, "process %s is gone\n", pid);
      exit(1);
    }
    size_t n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[n] = 0;
    long long user = 0, system = 0;
    /* fields 14 and 15; the second one is a name in brackets that may hold anything */
    sscanf(strrchr(text, ')') + 2, "%*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %lld %lld", &user, &system);
    ticks += user + system;
  }
  return ticks * (1000000000 / sysconf(_SC_CLK_TCK));
}

static void show(Connection *c, const char *what) {
  if (shown++) return;
  fprintf(stderr, "%s\nstatus %d, %d of %d marks, %zu bytes of body\n%.*s\n%.*s\n...\n%.*s\n", what, c->status, c->marks,
          expected_marks, c->body_length, (int)c->head_length, c->head, (int)(c->body_length < 600 ? c->body_length : 600),
          c->body ? c->body : "", (int)(c->body_length > 200 ? 200 : 0),
          c->body && c->body_length > 200 ? c->body + c->body_length - 200 : "");
}

static void send_request(Connection *c) {
  c->state = HEAD;
  c->head_length = c->line_length = c->body_length = c->scanned = 0;
  c->marks = 0;
  c->first_ns = 0;
  c->is_busy = 1;
  c->started_ns = now_ns();
  for (size_t sent = 0; sent < request_length;) {
    ssize_t n = send(c->fd, request + sent, request_length - sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN) continue;
    if (n <= 0) return; /* the peer closed: its end shows up as an event */
    sent += n;
  }
}

static void open_connection(Connection *c) {
  c->fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int one = 1;
  if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address)) {
    perror("connect");
    exit(1);
  }
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
  epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &e);
}

static void take_body(Connection *c, const char *bytes, size_t n) {
  if (!c->first_ns) c->first_ns = now_ns();
  if (c->body_capacity < c->body_length + n) c->body = realloc(c->body, c->body_capacity = (c->body_length + n) * 2);
  memcpy(c->body + c->body_length, bytes, n);
  c->body_length += n;
  for (char *hit; c->body_length - c->scanned >= mark_length;) {
    hit = memmem(c->body + c->scanned, c->body_length - c->scanned, mark, mark_length);
    if (!hit) {
      c->scanned = c->body_length - mark_length + 1;
      break;
    }
    c->scanned = hit - c->body + mark_length;
    c->marks++;
    if (is_counting) marks_seen++;
  }
}

static void finish(Connection *c) {
  c->is_busy = 0;
  size_t look = c->body_length < tail_length + 8 ? c->body_length : tail_length + 8;
  all_answers++;
  if (c->status / 100 != 2) {
    bad_status++;
    show(c, "An answer is not 2xx:");
  } else if (c->marks != expected_marks || !look || !memmem(c->body + c->body_length - look, look, tail, tail_length)) {
    wrong_bytes++;
    show(c, "An answer has the wrong bytes:");
  }
  if (is_counting) {
    answers++;
    if (samples < SAMPLES_MAX) {
      firsts[samples] = (c->first_ns - c->started_ns) / 1000;
      latencies[samples++] = (now_ns() - c->started_ns) / 1000;
    }
  }
}

static void fault(Connection *c, const char *what) {
  broken++;
  show(c, what);
  c->is_busy = 0;
}

/* Reads the head when it is complete. Returns how many bytes it took, or -1 for a head that can't be read. */
static ssize_t take_head(Connection *c, const char *bytes, size_t n) {
  size_t before = c->head_length, room = HEAD_MAX - 1 - before, taken = n < room ? n : room;
  memcpy(c->head + before, bytes, taken);
  c->head_length += taken;
  c->head[c->head_length] = 0;
  char *end = memmem(c->head, c->head_length, "\r\n\r\n", 4);
  if (!end) return c->head_length == HEAD_MAX - 1 ? -1 : (ssize_t)taken;
  c->head_length = end - c->head + 4;
  end[2] = 0;
  if (strncmp(c->head, "HTTP/1.1 ", 9)) return -1;
  c->status = atoi(c->head + 9);
  char *length = strcasestr(c->head, "\r\ncontent-length:");
  char *coding = strcasestr(c->head, "\r\ntransfer-encoding: chunked");
  if (!length == !coding) return -1; /* neither, or both: an answer whose end nobody can know */
  c->left = length ? strtoull(length + 17, NULL, 10) : 0;
  c->state = coding ? CHUNK_SIZE : BODY;
  return c->head_length - before;
}

/* 1 when the answer is complete. */
static int take(Connection *c, const char *bytes, size_t n) {
  while (n > 0 || (c->state == BODY && c->left == 0)) {
    if (c->state == HEAD) {
      ssize_t taken = take_head(c, bytes, n);
      if (taken < 0) {
        fault(c, "An answer's head can't be read:");
        return 1;
      }
      bytes += taken;
      n -= taken;
    } else if (c->state == BODY || c->state == CHUNK_DATA) {
      size_t taken = n < c->left ? n : c->left;
      if (taken > 0) take_body(c, bytes, taken);
      bytes += taken;
      n -= taken;
      c->left -= taken;
      if (c->left == 0) {
        if (c->state == BODY) {
          finish(c);
          return 1;
        }
        c->state = CHUNK_END;
        c->left = 2;
      }
    } else if (c->state == CHUNK_END) {
      bytes++;
      n--;
      if (--c->left == 0) c->state = CHUNK_SIZE;
    } else { /* a line: a chunk's size, or a trailer */
      char byte = *bytes++;
      n--;
      if (byte == '\n') {
        c->line[c->line_length] = 0;
        int is_empty = c->line_length == 0;
        c->line_length = 0;
        if (c->state == TRAILER) {
          if (!is_empty) continue;
          finish(c);
          return 1;
        }
        c->left = strtoull(c->line, NULL, 16);
        c->state = c->left == 0 ? TRAILER : CHUNK_DATA;
      } else if (byte != '\r' && c->line_length < sizeof c->line - 1) {
        c->line[c->line_length++] = byte;
      }
    }
  }
  return 0;
}

static void on_input(Connection *c) {
  static char buffer[262144];
  ssize_t n = recv(c->fd, buffer, sizeof buffer, MSG_DONTWAIT);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) {
    close(c->fd);
    /* A server may close an idle connection; one with a request on it may not. */
    if (c->is_busy) fault(c, "A connection ended before its answer did:");
    if (!is_draining && broken < 100) {
      open_connection(c);
      send_request(c);
    } else c->fd = -1;
    return;
  }
  if (take(c, buffer, n) && !is_draining) send_request(c);
}

static void run_until(int64_t end_ns, Connection *connections, int count) {
  for (;;) {
    int64_t left = end_ns - now_ns();
    if (left <= 0) return;
    if (is_draining) {
      int busy = 0;
      for (int i = 0; i < count; i++) busy += connections[i].is_busy;
      if (!busy) return;
    }
    struct epoll_event events[512];
    int n = epoll_wait(poller, events, 512, left > 1000000 ? (int)(left / 1000000) : 0);
    for (int i = 0; i < n; i++) on_input(events[i].data.ptr);
  }
}

static int by_value(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

static uint32_t quantile(uint32_t *values, double q) {
  if (samples == 0) return 0;
  return values[(size_t)(q * (samples - 1))];
}

int main(int argc, char **argv) {
  if (argc != 10) return fprintf(stderr, "usage: load PORT REQUEST CONNECTIONS WARM_MS WINDOW_MS MARK MARKS TAIL PIDS\n"), 64;
  signal(SIGPIPE, SIG_IGN);
  port = atoi(argv[1]);
  int count = atoi(argv[3]);
  int64_t warm_ms = atoll(argv[4]), window_ms = atoll(argv[5]);
  mark = argv[6];
  mark_length = strlen(mark);
  expected_marks = atoi(argv[7]);
  tail = argv[8];
  tail_length = strlen(tail);
  const char *pids = argv[9];

  FILE *file = fopen(argv[2], "r");
  if (!file) return perror(argv[2]), 1;
  request = malloc(1 << 20);
  request_length = fread(request, 1, 1 << 20, file);
  fclose(file);
  latencies = malloc(SAMPLES_MAX * sizeof *latencies);
  firsts = malloc(SAMPLES_MAX * sizeof *firsts);
  poller = epoll_create1(0);
  Connection *connections = calloc(count, sizeof *connections);
  for (int i = 0; i < count; i++) open_connection(&connections[i]);
  for (int i = 0; i < count; i++) send_request(&connections[i]);

  run_until(now_ns() + warm_ms * 1000000, connections, count);
  int64_t cpu_start = cpu_ns(pids), start = now_ns();
  is_counting = 1;
  run_until(start + window_ms * 1000000, connections, count);
  int64_t cpu_end = cpu_ns(pids), end = now_ns();
  is_counting = 0;
  is_draining = 1;
  run_until(end + (int64_t)DRAIN_MS * 1000000, connections, count);
  for (int i = 0; i < count; i++)
    if (connections[i].is_busy) fault(&connections[i], "An answer never ended:");

  qsort(latencies, samples, sizeof *latencies, by_value);
  qsort(firsts, samples, sizeof *firsts, by_value);
  printf("{\"answers\":%lu,\"allAnswers\":%lu,\"badStatus\":%lu,\"wrongBytes\":%lu,\"broken\":%lu,\"marks\":%lu,"
         "\"windowMs\":%.3f,\"cpuMs\":%.3f,\"p50Us\":%u,\"p99Us\":%u,\"firstP50Us\":%u,\"firstP99Us\":%u}\n",
         answers, all_answers, bad_status, wrong_bytes, broken, marks_seen, (end - start) / 1e6,
         (cpu_end - cpu_start) / 1e6, quantile(latencies, 0.5), quantile(latencies, 0.99), quantile(firsts, 0.5),
         quantile(firsts, 0.99));
  return bad_status || wrong_bytes || broken ? 1 : 0;
}
