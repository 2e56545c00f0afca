/* Loading the firmware: the stick leaves the bus and comes back, after a while, as another product with another number.
 *
 * A process of its own takes it away and brings it back, because a real stick comes back even where the process that
 * opened it has died meanwhile.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "standin.h"

static void write_line(const char *folder, const char *file, const char *text) {
  char path[PATH_ROOM + 32];
  snprintf(path, sizeof path, "%s/%s", folder, file);
  int out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (out < 0) return;
  dprintf(out, "%s\n", text);
  close(out);
}

/* A node with a number that no other device on the bus has: device numbers go up and begin anew after 127. */
static int make_node(const char *bus_folder, int last) {
  for (int tried = 1; tried < 127; tried++) {
    int number = (last + tried - 1) % 127 + 1;
    char path[PATH_ROOM + 32];
    snprintf(path, sizeof path, "%s/%03d", bus_folder, number);
    int node = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (node < 0) continue;
    fchmod(node, 0666);
    close(node);
    return number;
  }
  return 0;
}

static void leave_and_come_back(const Device *device, double dfu_ms) {
  char folder[PATH_ROOM], node[PATH_ROOM], aside[PATH_ROOM], owner[PATH_ROOM + 32], number[16];
  device_folder(device, folder);
  device_node(device, node);
  world_path(aside, "/aside/%s", device->name);
  if (rename(folder, aside)) return;
  unlink(node);
  log_event("\"event\":\"firmware\",\"device\":\"%s\"", device->name);
  sleep_ms(dfu_ms);
  char *slash = strrchr(node, '/');
  *slash = 0;
  snprintf(number, sizeof number, "%d", make_node(node, atoi(slash + 1)));
  write_line(aside, "idVendor", "18d1");
  write_line(aside, "idProduct", "9302");
  write_line(aside, "devnum", number);
  snprintf(owner, sizeof owner, "%s/owner", aside);
  unlink(owner);
  if (rename(aside, folder)) { /* pulled meanwhile: no node without a stick */
    snprintf(owner, sizeof owner, "%s/%03d", node, atoi(number));
    unlink(owner);
  }
}

static bool came_back(Device *device) {
  Device devices[MOST_DEVICES];
  size_t count = list_devices(devices);
  for (size_t i = 0; i < count; i++)
    if (devices[i].running && is(devices[i].path, device->path)) {
      *device = devices[i];
      return true;
    }
  return false;
}

bool load_firmware(Device *device, double dfu_ms) {
  pid_t process = fork();
  if (process < 0) return false;
  if (process == 0) { /* from a process with threads: nothing below allocates memory */
    close_range(0, ~0U, 0); /* no channel of its parent stays open because of it */
    leave_and_come_back(device, dfu_ms);
    _exit(0);
  }
  while (waitpid(process, NULL, 0) < 0 && errno == EINTR) {
  }
  return came_back(device);
}
