/* What the outside calls: libedgetpu's C interface (edgetpu_c.h) and TFLite's external delegate interface. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "standin.h"

#define EXPORT __attribute__((visibility("default")))

struct edgetpu_device {
  int type;
  const char *path;
};

struct edgetpu_option {
  const char *name, *value;
};

EXPORT struct edgetpu_device *edgetpu_list_devices(size_t *count) {
  Device devices[MOST_DEVICES];
  *count = list_devices(devices);
  if (*count == 0) return NULL;
  struct edgetpu_device *listed = malloc(*count * (sizeof *listed + sizeof devices[0].path));
  char *paths = (char *)(listed + *count);
  for (size_t i = 0; i < *count; i++) {
    char *path = paths + i * sizeof devices[0].path;
    listed[i] = (struct edgetpu_device){devices[i].type, strcpy(path, devices[i].path)};
  }
  return listed;
}

EXPORT void edgetpu_free_devices(struct edgetpu_device *devices) { free(devices); }

EXPORT void edgetpu_verbosity(int verbosity) { (void)verbosity; }

EXPORT const char *edgetpu_version(void) {
  static char version[sizeof((Control *)0)->version];
  snprintf(version, sizeof version, "%s", read_control().version);
  return version;
}

static const char *open_fault_now(Control *control) { return control->open_fault; }

static TfLiteDelegate *open_device(Device *device, const char *asked) {
  Control control = read_control();
  suffer(control.open_fault, NULL, open_fault_now);
  sleep_ms(control.open_ms);
  Session *session = NULL;
  if (!is(control.open_fault, "null") && (device->running || load_firmware(device, control.dfu_ms)))
    session = open_session(device);
  log_event("\"event\":\"open\",\"device\":\"%s\",\"asked\":\"%s\",\"fine\":%s", device->name, asked,
            session ? "true" : "false");
  return session ? make_delegate(session) : NULL;
}

/* "", "usb", "pci", ":N", "usb:N", "pci:N": false for anything else. `type` and `index` are -1 for any. */
static bool parse_choice(const char *text, int *type, long *index) {
  size_t word = strcspn(text, ":");
  char *end = "";
  *type = word == 0 ? -1 : strncmp(text, "usb", word) == 0 ? USB : PCI;
  *index = text[word] ? strtol(text + word + 1, &end, 10) : -1;
  bool known = word == 0 || (word == 3 && (strncmp(text, "usb", 3) == 0 || strncmp(text, "pci", 3) == 0));
  return known && *end == 0 && (!text[word] || (end != text + word + 1 && *index >= 0));
}

static TfLiteDelegate *open_choice(const char *choice) {
  Device devices[MOST_DEVICES];
  int type;
  long index, seen = 0;
  size_t count = list_devices(devices);
  if (!parse_choice(choice, &type, &index)) return NULL;
  for (size_t i = 0; i < count; i++)
    if ((type < 0 || devices[i].type == type) && (index < 0 || seen++ == index))
      return open_device(&devices[i], choice);
  log_event("\"event\":\"absent\",\"asked\":\"%s\"", choice);
  return NULL;
}

/* As the real one: NULL for every failure, and no text that says which. */
EXPORT TfLiteDelegate *tflite_plugin_create_delegate(char **keys, char **values, size_t count,
                                                     void (*report_error)(const char *)) {
  (void)report_error;
  const char *choice = "";
  for (int i = 0; i < (int)count; i++) { /* Python passes a C int, with nothing said of its upper half */
    if (is(keys[i], "device")) choice = values[i];
    else log_event("\"event\":\"option\",\"%s\":\"%s\"", keys[i], values[i]);
  }
  return open_choice(choice);
}

EXPORT void tflite_plugin_destroy_delegate(TfLiteDelegate *delegate) {
  if (!delegate) return; /* Python destroys what it failed to create, too */
  close_session(delegate->data_);
  free(delegate);
}

EXPORT TfLiteDelegate *edgetpu_create_delegate(int type, const char *path, const struct edgetpu_option *options,
                                               size_t option_count) {
  (void)options;
  (void)option_count;
  Device devices[MOST_DEVICES];
  size_t count = list_devices(devices);
  for (size_t i = 0; i < count; i++)
    if (devices[i].type == type && (!path || is(path, devices[i].path)))
      return open_device(&devices[i], path ? path : "");
  return NULL;
}

EXPORT void edgetpu_free_delegate(TfLiteDelegate *delegate) { tflite_plugin_destroy_delegate(delegate); }
