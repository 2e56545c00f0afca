/* A device opened by this process, and the watch over it: its owner dies of its loss, as with the real library. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "standin.h"

#define WATCH_EVERY_MS 10

static pthread_mutex_t sessions_lock = PTHREAD_MUTEX_INITIALIZER;
static Session *sessions;

static void owner_path(const Device *device, char path[PATH_ROOM + 32]) {
  char folder[PATH_ROOM];
  device_folder(device, folder);
  snprintf(path, PATH_ROOM + 32, "%s/owner", folder);
}

static pid_t read_owner(const Device *device) {
  char path[PATH_ROOM + 32], line[32];
  owner_path(device, path);
  read_line(path, line, sizeof line);
  return atoi(line);
}

static void write_owner(const Device *device) {
  char path[PATH_ROOM + 32], aside[PATH_ROOM];
  owner_path(device, path);
  world_path(aside, "/aside/owner.%d", (int)getpid());
  int out = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (out < 0) return;
  dprintf(out, "%d\n", (int)getpid());
  close(out);
  rename(aside, path);
}

_Noreturn void die_of_transfer_error(const Session *session, const char *why) {
  static const char line[] =
      "F driver/usb/usb_driver.cc:857] transfer on tag 1 failed. Abort. Not found: USB transfer error 5 "
      "[LibUsbDataOutCallback]\n";
  log_event("\"event\":\"abort\",\"device\":\"%s\",\"why\":\"%s\"", session->device.name, why);
  if (write(STDERR_FILENO, line, sizeof line - 1) < 0) abort();
  abort();
}

void check_session(const Session *session) {
  char folder[PATH_ROOM];
  struct stat now;
  device_folder(&session->device, folder);
  if (stat(folder, &now) || now.st_ino != session->plugged.st_ino || now.st_dev != session->plugged.st_dev)
    die_of_transfer_error(session, "unplugged");
  pid_t owner = read_owner(&session->device);
  if (owner > 0 && owner != getpid()) die_of_transfer_error(session, "stolen");
}

static void *watch(void *data) {
  const Session *session = data;
  while (!__atomic_load_n(&session->closing, __ATOMIC_ACQUIRE)) {
    check_session(session);
    if (is(read_control().fault, "abort_idle")) die_of_transfer_error(session, "abort_idle");
    sleep_ms(WATCH_EVERY_MS);
  }
  return NULL;
}

/* The real library sees a missing permission here; a PCIe device has one owner, a stick is taken from its owner. */
static bool take(Session *session) {
  char node[PATH_ROOM], folder[PATH_ROOM];
  device_node(&session->device, node);
  device_folder(&session->device, folder);
  session->node = open(node, O_RDWR | O_CLOEXEC);
  session->folder = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (session->node < 0 || session->folder < 0 || fstat(session->folder, &session->plugged)) return false;
  if (session->device.type == PCI && flock(session->node, LOCK_EX | LOCK_NB)) return false;
  write_owner(&session->device);
  return pthread_create(&session->watcher, NULL, watch, session) == 0;
}

static void discard(Session *session) {
  if (session->node >= 0) close(session->node);
  if (session->folder >= 0) close(session->folder);
  pthread_mutex_destroy(&session->running);
  free(session);
}

static Session *find_or_open(const Device *device) {
  for (Session *session = sessions; session; session = session->next)
    if (is(session->device.path, device->path)) {
      session->users++;
      return session;
    }
  Session *session = calloc(1, sizeof *session);
  session->device = *device;
  session->users = 1;
  session->node = session->folder = -1;
  pthread_mutex_init(&session->running, NULL);
  if (!take(session)) {
    log_event("\"event\":\"refused\",\"device\":\"%s\",\"why\":\"%s\"", device->name, strerror(errno));
    discard(session);
    return NULL;
  }
  session->next = sessions;
  return sessions = session;
}

Session *open_session(const Device *device) {
  pthread_mutex_lock(&sessions_lock);
  Session *session = find_or_open(device);
  pthread_mutex_unlock(&sessions_lock);
  return session;
}

void close_session(Session *session) {
  pthread_mutex_lock(&sessions_lock);
  bool last = --session->users == 0;
  for (Session **place = &sessions; last && *place; place = &(*place)->next)
    if (*place == session) {
      *place = session->next;
      break;
    }
  pthread_mutex_unlock(&sessions_lock);
  if (!last) return;
  __atomic_store_n(&session->closing, true, __ATOMIC_RELEASE);
  pthread_join(session->watcher, NULL);
  char path[PATH_ROOM + 32];
  owner_path(&session->device, path);
  if (read_owner(&session->device) == getpid()) unlink(path);
  log_event("\"event\":\"close\",\"device\":\"%s\"", session->device.name);
  discard(session);
}
