/*
 * A provider that costs next to nothing: one thread, one epoll, every answer prepared before the first request.
 *
 *   mock PORT
 *
 * POST .../chat/completions   one JSON answer with usage; with "stream":true 100 events of about 230 bytes, each its own
 *                             HTTP chunk, then finish, usage and [DONE]. A model name that contains "paced" gets one
 *                             event every 10 ms, any other model all of them at once.
 * GET .../models              a list with the two models.
 * Prints "ready" when it listens.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_FDS = 8192, EVENTS = 100, PACE_NS = 10 * 1000 * 1000 };

typedef struct {
  char *in;
  size_t in_length, in_capacity;
  const char *out; /* what is still to be written of a prepared answer */
  size_t out_length;
  int next_piece; /* of a paced stream, -1 when none runs */
  int64_t due_ns;
} Connection;

static Connection connections[MAX_FDS];
static int paced[MAX_FDS], paced_count;
static int poller;

static char whole[4096], models[2048], missing[512];
static size_t whole_length, models_length, missing_length;
static char stream[65536];
static size_t stream_length;
static size_t piece_end[EVENTS + 8]; /* offset in `stream` after the head and after every event */
static int pieces;

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The headers a vendor's edge sends along. */
static const char *vendor_headers =
    "date: Mon, 23 Nov 2026 06:00:00 GMT\r\n"
    "openai-organization: organization-of-the-mock\r\n"
    "openai-processing-ms: 12\r\n"
    "openai-version: 2020-10-01\r\n"
    "x-ratelimit-limit-requests: 10000\r\n"
    "x-ratelimit-limit-tokens: 2000000\r\n"
    "x-ratelimit-remaining-requests: 9999\r\n"
    "x-ratelimit-remaining-tokens: 1999000\r\n"
    "x-ratelimit-reset-requests: 6ms\r\n"
    "x-request-id: req_5d4e1c0f7a2b4c3d9e8f7a6b5c4d3e2f\r\n"
    "server: mock\r\n";

static void add_piece(const char *data) {
  stream_length += sprintf(stream + stream_length, "%zx\r\ndata: %s\n\n\r\n", strlen(data) + 8, data);
  piece_end[pieces++] = stream_length;
}

static void prepare(void) {
  char body[2048], event[1024];
  int length = sprintf(
      body,
      "{\"id\":\"chatcmpl-BmockBmockBmockBmockBmock\",\"object\":\"chat.completion\",\"created\":1795000000,"
      "\"model\":\"mock\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"lorem-000 ipsum "
      "dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore.\",\"refusal\":null,"
      "\"annotations\":[]},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":219,"
      "\"completion_tokens\":23,\"total_tokens\":242,\"prompt_tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0},"
      "\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0,\"accepted_prediction_tokens\":0,"
      "\"rejected_prediction_tokens\":0}},\"service_tier\":\"default\",\"system_fingerprint\":\"fp_mock\"}");
  whole_length = sprintf(whole, "HTTP/1.1 200 OK\r\n%scontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s",
                         vendor_headers, length, body);
  const char *list = "{\"object\":\"list\",\"data\":[{\"id\":\"mock\",\"object\":\"model\",\"created\":1795000000,"
                     "\"owned_by\":\"mock\"},{\"id\":\"mock-paced\",\"object\":\"model\",\"created\":1795000000,"
                     "\"owned_by\":\"mock\"}]}";
  models_length = sprintf(models, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n%s",
                          strlen(list), list);
  missing_length = sprintf(missing, "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");

  stream_length = sprintf(stream,
                          "HTTP/1.1 200 OK\r\n%scontent-type: text/event-stream; charset=utf-8\r\n"
                          "transfer-encoding: chunked\r\n\r\n",
                          vendor_headers);
  piece_end[pieces++] = stream_length;
  const char *frame = "{\"id\":\"chatcmpl-BmockBmockBmockBmockBmock\",\"object\":\"chat.completion.chunk\","
                      "\"created\":1795000000,\"model\":\"mock\",\"choices\":[%s],\"usage\":%s}";
  for (int i = 0; i < EVENTS; i++) {
    char choice[256];
    sprintf(choice, "{\"index\":0,\"delta\":{%s\"content\":\" lorem-%03d\"},\"logprobs\":null,\"finish_reason\":null}",
            i == 0 ? "\"role\":\"assistant\"," : "", i);
    sprintf(event, frame, choice, "null");
    add_piece(event);
  }
  sprintf(event, frame, "{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}", "null");
  add_piece(event);
  sprintf(event, frame, "",
          "{\"prompt_tokens\":219,\"completion_tokens\":100,\"total_tokens\":319,\"prompt_tokens_details\":"
          "{\"cached_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":0}}");
  add_piece(event);
  add_piece("[DONE]");
  stream_length += sprintf(stream + stream_length, "0\r\n\r\n");
  piece_end[pieces - 1] = stream_length;
}

static void drop(int fd) {
  Connection *c = &connections[fd];
  for (int i = 0; i < paced_count; i++)
    if (paced[i] == fd) paced[i--] = paced[--paced_count];
  free(c->in);
  memset(c, 0, sizeof *c);
  close(fd);
}

/* 0 when the connection is gone. */
static int flush_out(int fd) {
  Connection *c = &connections[fd];
  while (c->out_length > 0) {
    ssize_t n = send(fd, c->out, c->out_length, MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN) {
      struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.fd = fd};
      epoll_ctl(poller, EPOLL_CTL_MOD, fd, &e);
      return 1;
    }
    if (n <= 0) {
      drop(fd);
      return 0;
    }
    c->out += n;
    c->out_length -= n;
  }
  return 1;
}

static int answer(int fd, const char *bytes, size_t length) {
  connections[fd].out = bytes;
  connections[fd].out_length = length;
  return flush_out(fd);
}

static int answer_chat(int fd, const char *body, size_t length) {
  int is_stream = memmem(body, length, "\"stream\":true", 13) || memmem(body, length, "\"stream\": true", 14);
  if (!is_stream) return answer(fd, whole, whole_length);
  if (!memmem(body, length, "paced", 5)) return answer(fd, stream, stream_length);
  connections[fd].next_piece = 1;
  connections[fd].due_ns = now_ns() + PACE_NS + (fd % 10) * (PACE_NS / 10); /* streams of the real world do not march in step */
  paced[paced_count++] = fd;
  return answer(fd, stream, piece_end[0]);
}

/* Length of the request at the start of the buffer and where its body is, 0 while it is incomplete. */
static size_t measure_request(Connection *c, char **body, size_t *body_length) {
  char *end = memmem(c->in, c->in_length, "\r\n\r\n", 4);
  if (!end) return 0;
  *body = end + 4;
  size_t head = *body - c->in, there = c->in_length - head;
  *end = 0;
  char *length = strcasestr(c->in, "\r\ncontent-length:");
  char *coding = strcasestr(c->in, "\r\ntransfer-encoding:");
  *end = '\r';
  if (coding) { /* the pieces' sizes stay among the body's bytes: nothing here minds */
    char *last = memmem(*body, there, "0\r\n\r\n", 5);
    *body_length = last ? (size_t)(last - *body) : 0;
    return last ? head + *body_length + 5 : 0;
  }
  *body_length = length ? strtoul(length + 17, NULL, 10) : 0;
  return there >= *body_length ? head + *body_length : 0;
}

static void on_input(int fd) {
  Connection *c = &connections[fd];
  for (;;) {
    if (c->in_capacity - c->in_length < 8192) c->in = realloc(c->in, c->in_capacity = c->in_capacity * 2 + 16384);
    size_t room = c->in_capacity - c->in_length - 1;
    ssize_t n = recv(fd, c->in + c->in_length, room, 0);
    if (n < 0 && errno == EAGAIN) break;
    if (n <= 0) {
      drop(fd);
      return;
    }
    c->in_length += n;
    if ((size_t)n < room) break;
  }
  c->in[c->in_length] = 0;
  char *body;
  size_t body_length, length;
  while (c->in_length > 0 && (length = measure_request(c, &body, &body_length)) > 0) {
    int is_chat = strncmp(c->in, "POST ", 5) == 0 && memmem(c->in, body - c->in, "/chat/completions ", 18);
    int is_list = strncmp(c->in, "GET ", 4) == 0 && memmem(c->in, body - c->in, "/models", 7);
    int is_alive = is_chat   ? answer_chat(fd, body, body_length)
                   : is_list ? answer(fd, models, models_length)
                             : answer(fd, missing, missing_length);
    if (!is_alive) return;
    memmove(c->in, c->in + length, c->in_length - length + 1);
    c->in_length -= length;
  }
}

static void run_paced(void) {
  int64_t now = now_ns();
  for (int i = 0; i < paced_count; i++) {
    int fd = paced[i];
    Connection *c = &connections[fd];
    if (c->due_ns > now || c->out_length > 0) continue;
    const char *from = stream + piece_end[c->next_piece - 1];
    size_t length = piece_end[c->next_piece] - piece_end[c->next_piece - 1];
    c->due_ns += PACE_NS;
    if (++c->next_piece == pieces) {
      c->next_piece = -1;
      paced[i--] = paced[--paced_count];
    }
    if (!answer(fd, from, length)) i = -1; /* the list changed: look through it again, what was sent is not due */
  }
}

int main(int argc, char **argv) {
  if (argc != 2) return fprintf(stderr, "usage: mock PORT\n"), 64;
  signal(SIGPIPE, SIG_IGN);
  struct rlimit files = {MAX_FDS, MAX_FDS};
  setrlimit(RLIMIT_NOFILE, &files);
  prepare();
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) return perror("mock"), 1;
  poller = epoll_create1(0);
  struct epoll_event e = {.events = EPOLLIN, .data.fd = listener};
  epoll_ctl(poller, EPOLL_CTL_ADD, listener, &e);
  puts("ready");
  fflush(stdout);
  for (;;) {
    struct epoll_event events[256];
    int n = epoll_wait(poller, events, 256, paced_count > 0 ? 1 : -1);
    for (int i = 0; i < n; i++) {
      int fd = events[i].data.fd;
      if (fd == listener) {
        for (int peer; (peer = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
          if (peer >= MAX_FDS) {
            close(peer);
            continue;
          }
          setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
          struct epoll_event added = {.events = EPOLLIN, .data.fd = peer};
          epoll_ctl(poller, EPOLL_CTL_ADD, peer, &added);
        }
        continue;
      }
      if (events[i].events & EPOLLOUT) {
        struct epoll_event back = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(poller, EPOLL_CTL_MOD, fd, &back);
        if (!flush_out(fd)) continue;
      }
      if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) on_input(fd);
    }
    if (paced_count > 0) run_paced();
  }
}
