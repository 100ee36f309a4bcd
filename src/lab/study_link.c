/* study_link.c: lines of JSON between the coordinator of a study and a worker. */
#include "lab/study_link.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *const outcome_names[JOB_OUTCOMES] = {
    [JOB_ENDED] = "ended",     [JOB_TAKEN] = "taken", [JOB_STOPPED] = "stopped",
    [JOB_STORAGE] = "storage", [JOB_CODE] = "code"};

const char *job_outcome_name(JobOutcome outcome) { return outcome_names[outcome]; }

JobOutcome job_outcome_parse(const char *name) {
  int i = 0;
  while (i < JOB_OUTCOMES && strcmp(name, outcome_names[i]) != 0) i++;
  return (JobOutcome)i;
}

bool link_send(Link *link, const Json *message) {
  Fault fault = {0};
  Text line = {0};
  bool sent = link->fd >= 0 && json_write(message, 0, &line, &fault) == ERR_OK;
  text_add(&line, "\n");
  sent = sent && !line.failed;
  for (size_t at = 0; sent && at < line.n_bytes;) {
    ssize_t n = send(link->fd, line.data + at, line.n_bytes - at, MSG_NOSIGNAL);
    if (n >= 0) at += (size_t)n;
    else sent = errno == EINTR;
  }
  text_deinit(&line);
  return sent;
}

bool link_receive(Link *link) {
  char buffer[1 << 14];
  if (link->fd < 0) return false;
  ssize_t n;
  do n = recv(link->fd, buffer, sizeof buffer, 0);
  while (n < 0 && errno == EINTR);
  if (n <= 0) return false;
  text_add_bytes(&link->received, buffer, (size_t)n);
  return !link->received.failed;
}

/* Forgets what was given out, once that is all there is. */
static void shrink(Link *link) {
  if (link->taken < link->received.n_bytes) return;
  link->received.n_bytes = link->taken = 0;
}

Json *link_next(Link *link) {
  char *begin = link->received.data ? link->received.data + link->taken : NULL;
  size_t n = link->received.n_bytes - link->taken;
  char *end = begin && n ? memchr(begin, '\n', n) : NULL;
  if (!end) return NULL;
  Fault fault = {0};
  Json *message = json_parse(begin, (size_t)(end - begin), &fault);
  link->taken += (size_t)(end - begin) + 1;
  shrink(link);
  if (!message) link_close(link);
  return message;
}

void link_close(Link *link) {
  if (link->fd >= 0) close(link->fd);
  text_deinit(&link->received);
  *link = (Link){.fd = -1};
}
