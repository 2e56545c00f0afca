/* A software Edge TPU with libedgetpu's interface, for tests only: what its files know of each other.
 *
 * Its world is the folder $EDGETPU_STANDIN: a fake host root (sys/..., dev/...) that says what is plugged in, the file
 * `control` that says how the devices behave, read anew whenever it matters, and the file `log` with what happened.
 */
#ifndef STANDIN_H
#define STANDIN_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "tflite_abi.h"

#define EDGETPU_CUSTOM_OP "edgetpu-custom-op"
#define PATH_ROOM 1024 /* a path, ended by a zero */

/* world.c: the folder, the control file, the log, the time */

typedef struct {
  double latency_ms, jitter_ms, first_ms, open_ms, dfu_ms;
  long fault_after;
  bool old_abi, trace;
  char fault[16], open_fault[16], prepare_fault[16], exec[16], version[128];
} Control;

Control read_control(void);
bool is(const char *text, const char *word);
/* Below the world's folder: "/dev/apex_0" -> "$EDGETPU_STANDIN/dev/apex_0". */
void world_path(char path[PATH_ROOM], const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The first line of a small file without its end; "" where it cannot be read. */
void read_line(const char *path, char *line, size_t room);
/* One JSON line; the arguments are the inside of an object, in printf's way. */
void log_event(const char *format, ...) __attribute__((format(printf, 1, 2)));
double now_ms(void);
void sleep_until(double moment_ms);
void sleep_ms(double milliseconds);

/* devices.c: what is plugged in */

enum { PCI = 0, USB = 1 }; /* enum edgetpu_device_type */
enum { MOST_DEVICES = 16 };

typedef struct {
  int type;
  char name[64];  /* "2-1", "apex_0" */
  char path[128]; /* as libedgetpu lists it: "/sys/bus/usb/devices/2-1", "/dev/apex_0" */
  bool running;   /* has its firmware; false: the first open loads it */
} Device;

size_t list_devices(Device devices[MOST_DEVICES]);
/* The folder in the fake sysfs and the node in the fake /dev. */
void device_folder(const Device *device, char path[PATH_ROOM]);
void device_node(const Device *device, char path[PATH_ROOM]);

/* firmware.c: the first open of a stick makes it leave the bus and come back as another product */

bool load_firmware(Device *device, double dfu_ms);

/* session.c: a device opened by this process */

typedef struct Session {
  Device device;
  int users;
  int node;            /* file descriptor: held open, as the real library does */
  int folder;          /* file descriptor: keeps the identity of the folder */
  struct stat plugged; /* of the folder: another one has another identity */
  pthread_mutex_t running; /* one inference at a time */
  pthread_t watcher;
  bool closing;
  struct Session *next;
} Session;

Session *open_session(const Device *device);
void close_session(Session *session);
/* Does not return where the device is gone, or taken by another process: aborts, as the real library does. */
void check_session(const Session *session);
_Noreturn void die_of_transfer_error(const Session *session, const char *why);

/* model.c: the model inside the custom operator, run on the CPU by a process of its own */

typedef struct {
  const unsigned char *content; /* the .tflite file; NULL: none, the operator was compiled for a real Edge TPU */
  size_t content_bytes;
  uint64_t hash;
  const char *runtime; /* the Python package that has loaded us, "" where unknown */
  TfLiteIntArray *inputs, *outputs;
  int process, channel; /* 0: not started */
} Model;

void set_up_model(Model *model, TfLiteContext *context, const TfLiteNode *node);
void clear_model(Model *model);
/* False, with the reason reported to the context, where it cannot run. */
bool start_model(Model *model, TfLiteContext *context);
bool run_model(Model *model, TfLiteContext *context, const char *exec);

/* answers.c: what the model answered before, by the hash of its inputs, for all processes of this world */

uint64_t hash_bytes(uint64_t hash, const void *data, size_t bytes);
bool recall_answer(uint64_t hash, void *answer, size_t bytes);
void keep_answer(uint64_t hash, const void *answer, size_t bytes);

/* kernel.c: the delegate itself */

TfLiteDelegate *make_delegate(Session *session);
/* Does what `fault` names; returns only for "none", "error" and "null", and for "hang" once `still` names no hang. */
void suffer(const char *fault, const Session *session, const char *(*still)(Control *));

#endif
