/* The world's folder: where it is, its control file, its log; and the time. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "standin.h"

bool is(const char *text, const char *word) { return strcmp(text, word) == 0; }

void world_path(char path[PATH_ROOM], const char *format, ...) {
  const char *root = getenv("EDGETPU_STANDIN");
  int used = snprintf(path, PATH_ROOM, "%s", root ? root : "/nonexistent");
  if (used < 0 || used >= PATH_ROOM) return;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(path + used, PATH_ROOM - (size_t)used, format, arguments);
  va_end(arguments);
}

static size_t read_file(const char *path, char *text, size_t room) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t got = file < 0 ? 0 : read(file, text, room - 1);
  if (file >= 0) close(file);
  text[got > 0 ? got : 0] = 0;
  return got > 0 ? (size_t)got : 0;
}

void read_line(const char *path, char *line, size_t room) {
  read_file(path, line, room);
  line[strcspn(line, "\n")] = 0;
}

#define SET_TEXT(field, value) snprintf((field), sizeof(field), "%s", (value))

static void set_option(Control *control, const char *key, const char *value) {
  if (is(key, "latency_ms")) control->latency_ms = atof(value);
  else if (is(key, "jitter_ms")) control->jitter_ms = atof(value);
  else if (is(key, "first_ms")) control->first_ms = atof(value);
  else if (is(key, "open_ms")) control->open_ms = atof(value);
  else if (is(key, "dfu_ms")) control->dfu_ms = atof(value);
  else if (is(key, "fault_after")) control->fault_after = atol(value);
  else if (is(key, "old_abi")) control->old_abi = atoi(value) != 0;
  else if (is(key, "trace")) control->trace = atoi(value) != 0;
  else if (is(key, "fault")) SET_TEXT(control->fault, value);
  else if (is(key, "open_fault")) SET_TEXT(control->open_fault, value);
  else if (is(key, "prepare_fault")) SET_TEXT(control->prepare_fault, value);
  else if (is(key, "exec")) SET_TEXT(control->exec, value);
  else if (is(key, "version")) SET_TEXT(control->version, value);
}

Control read_control(void) {
  Control control = {
      .dfu_ms = 300, .fault = "none", .open_fault = "none", .prepare_fault = "none", .exec = "model",
      .version = "BuildLabel(EDGECAM-STAND-IN), RuntimeVersion(14)"};
  char path[PATH_ROOM], text[4096], *rest = NULL;
  world_path(path, "/control");
  read_file(path, text, sizeof text);
  for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
    char *value = strchr(line, '=');
    if (!value) continue;
    *value++ = 0;
    set_option(&control, line, value);
  }
  return control;
}

void log_event(const char *format, ...) {
  char path[PATH_ROOM], line[2048];
  world_path(path, "/log");
  int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (file < 0) return;
  int used = snprintf(line, sizeof line, "{\"time\":%.6f,\"pid\":%d,", now_ms() / 1e3, (int)getpid());
  va_list arguments;
  va_start(arguments, format);
  used += vsnprintf(line + used, sizeof line - (size_t)used, format, arguments);
  va_end(arguments);
  if (used > (int)sizeof line - 3) used = (int)sizeof line - 3;
  used += snprintf(line + used, 3, "}\n");
  if (write(file, line, (size_t)used) < 0) fprintf(stderr, "edgetpu stand-in: %s: %s\n", path, strerror(errno));
  close(file);
}

double now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Without the 50 microseconds a thread's timers are late by habit. */
void sleep_until(double moment_ms) {
  if (moment_ms <= now_ms()) return;
  time_t seconds = (time_t)(moment_ms / 1e3);
  struct timespec moment = {seconds, (long)((moment_ms - 1e3 * (double)seconds) * 1e6)};
  int slack = prctl(PR_GET_TIMERSLACK);
  prctl(PR_SET_TIMERSLACK, 1);
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &moment, NULL) == EINTR) {
  }
  prctl(PR_SET_TIMERSLACK, slack > 0 ? slack : 0);
}

void sleep_ms(double milliseconds) { sleep_until(now_ms() + milliseconds); }
