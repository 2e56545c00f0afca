/* What is plugged in, read from the fake sysfs. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "standin.h"

void device_folder(const Device *device, char path[PATH_ROOM]) {
  world_path(path, device->type == USB ? "/sys/bus/usb/devices/%s" : "/sys/class/apex/%s", device->name);
}

static int read_number(const char *folder, const char *file) {
  char path[PATH_ROOM + 32], line[32];
  snprintf(path, sizeof path, "%s/%s", folder, file);
  read_line(path, line, sizeof line);
  return atoi(line);
}

void device_node(const Device *device, char path[PATH_ROOM]) {
  char folder[PATH_ROOM];
  device_folder(device, folder);
  if (device->type == PCI) world_path(path, "/dev/%s", device->name);
  else world_path(path, "/dev/bus/usb/%03d/%03d", read_number(folder, "busnum"), read_number(folder, "devnum"));
}

static bool is_edge_tpu(Device *device) {
  char folder[PATH_ROOM], path[PATH_ROOM + 32], vendor[16], product[16];
  if (device->type == PCI) return device->running = strncmp(device->name, "apex_", 5) == 0;
  device_folder(device, folder);
  snprintf(path, sizeof path, "%s/idVendor", folder);
  read_line(path, vendor, sizeof vendor);
  snprintf(path, sizeof path, "%s/idProduct", folder);
  read_line(path, product, sizeof product);
  device->running = is(vendor, "18d1") && is(product, "9302");
  return device->running || (is(vendor, "1a6e") && is(product, "089a"));
}

static int by_name(const void *left, const void *right) {
  return strcmp(((const Device *)left)->name, ((const Device *)right)->name);
}

static size_t list_folder(int type, const char *sysfs, const char *listed, Device *devices, size_t room) {
  char path[PATH_ROOM];
  world_path(path, "%s", sysfs);
  DIR *folder = opendir(path);
  if (!folder) return 0;
  size_t count = 0;
  for (struct dirent *entry; count < room && (entry = readdir(folder));) {
    Device device = {.type = type};
    snprintf(device.name, sizeof device.name, "%.63s", entry->d_name);
    snprintf(device.path, sizeof device.path, "%s/%s", listed, device.name);
    if (entry->d_name[0] != '.' && is_edge_tpu(&device)) devices[count++] = device;
  }
  closedir(folder);
  qsort(devices, count, sizeof *devices, by_name);
  return count;
}

size_t list_devices(Device devices[MOST_DEVICES]) {
  size_t count = list_folder(PCI, "/sys/class/apex", "/dev", devices, MOST_DEVICES);
  const char *sticks = "/sys/bus/usb/devices";
  return count + list_folder(USB, sticks, sticks, devices + count, MOST_DEVICES - count);
}
