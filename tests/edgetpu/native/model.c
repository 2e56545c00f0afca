/* The model inside the custom operator: run on the CPU, bit for bit, by a Python process with the same runtime. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "standin.h"

extern char **environ;

static const char magic[] = "EDGECAM-STANDIN-MODEL\n"; /* as compile_model.py writes it */

static TfLiteIntArray *copy_array(const TfLiteIntArray *array) {
  size_t bytes = sizeof(int) * ((size_t)array->size + 1);
  return memcpy(malloc(bytes), array, bytes);
}

static size_t tensor_bytes(const TfLiteContext *context, const TfLiteIntArray *tensors) {
  size_t bytes = 0;
  for (int i = 0; i < tensors->size; i++) bytes += context->tensors[tensors->data[i]].bytes;
  return bytes;
}

/* Two runtimes may differ in the last bit, so the one that has loaded us is the one to ask. */
static const char *loading_runtime(const TfLiteContext *context) {
  Dl_info origin;
  const char *file = dladdr(*(void *const *)&context->ReportError, &origin) ? origin.dli_fname : "";
  if (strstr(file, "tflite_runtime")) return "tflite-runtime";
  if (strstr(file, "ai_edge_litert")) return "ai-edge-litert";
  const char *named = getenv("EDGECAM_RUNTIME");
  return named ? named : "auto";
}

void set_up_model(Model *model, TfLiteContext *context, const TfLiteNode *node) {
  size_t bytes = (size_t)node->custom_initial_data_size, head = sizeof magic - 1;
  const unsigned char *data = node->custom_initial_data;
  model->inputs = copy_array(node->inputs);
  model->outputs = copy_array(node->outputs);
  model->runtime = loading_runtime(context);
  if (bytes <= head || memcmp(data, magic, head) != 0) return;
  model->content = data + head;
  model->content_bytes = bytes - head;
  model->hash = hash_bytes(hash_bytes(1469598103934665603ULL, model->runtime, strlen(model->runtime)), model->content,
                           model->content_bytes);
}

static void stop_model(Model *model) {
  if (model->channel > 0) close(model->channel);
  if (model->process > 0) {
    kill(model->process, SIGKILL);
    while (waitpid(model->process, NULL, 0) < 0 && errno == EINTR) {
    }
  }
  model->channel = model->process = 0;
}

void clear_model(Model *model) {
  stop_model(model);
  free(model->inputs);
  free(model->outputs);
}

static bool send_all(int channel, const void *data, size_t bytes) {
  for (const char *at = data; bytes;) {
    ssize_t done = send(channel, at, bytes, MSG_NOSIGNAL);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return false;
    at += done;
    bytes -= (size_t)done;
  }
  return true;
}

static bool receive_all(int channel, void *data, size_t bytes) {
  for (char *at = data; bytes;) {
    ssize_t done = recv(channel, at, bytes, 0);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return false;
    at += done;
    bytes -= (size_t)done;
  }
  return true;
}

/* With the Python that runs this very process; what it has to say goes to a file, not to our stderr. */
static int spawn(Model *model) {
  int ends[2];
  char output[PATH_ROOM];
  const char *named = getenv("EDGETPU_STANDIN_PYTHON");
  const char *python = named ? named : program_invocation_name;
  char *arguments[] = {(char *)python, STANDIN_RUNNER, (char *)model->runtime, NULL};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)) return errno;
  world_path(output, "/runner.log");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDIN_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output, O_WRONLY | O_CREAT | O_APPEND, 0644);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  int error = posix_spawnp(&model->process, python, &actions, NULL, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  if (error) {
    close(ends[0]);
    model->process = 0;
  } else {
    model->channel = ends[0];
  }
  return error;
}

static bool refuse(Model *model, TfLiteContext *context, const char *why) {
  context->ReportError(context, "Failed to prepare for TPU. edgetpu stand-in: %s", why);
  log_event("\"event\":\"model\",\"why\":\"%s\"", why);
  stop_model(model);
  return false;
}

bool start_model(Model *model, TfLiteContext *context) {
  size_t inputs = tensor_bytes(context, model->inputs), outputs = tensor_bytes(context, model->outputs);
  uint64_t sizes[3] = {model->content_bytes, inputs, outputs};
  char answer[128] = "";
  if (model->process) return true;
  if (!model->content) return refuse(model, context, "compiled for a real Edge TPU: set exec=zero");
  int error = spawn(model);
  if (error) return refuse(model, context, strerror(error));
  if (!send_all(model->channel, sizes, sizeof sizes) ||
      !send_all(model->channel, model->content, model->content_bytes) ||
      !receive_all(model->channel, answer, sizeof answer - 1))
    return refuse(model, context, "the runner of the model has died: see runner.log");
  if (!is(answer, "ready")) return refuse(model, context, answer);
  log_event("\"event\":\"model\",\"runner\":%d,\"runtime\":\"%s\"", model->process, model->runtime);
  return true;
}

static bool ask_model(Model *model, TfLiteContext *context) {
  bool fine = true;
  for (int i = 0; fine && i < model->inputs->size; i++) {
    const TfLiteTensor *tensor = &context->tensors[model->inputs->data[i]];
    fine = send_all(model->channel, tensor->data, tensor->bytes);
  }
  for (int i = 0; fine && i < model->outputs->size; i++) {
    const TfLiteTensor *tensor = &context->tensors[model->outputs->data[i]];
    fine = receive_all(model->channel, tensor->data, tensor->bytes);
  }
  if (!fine) context->ReportError(context, "edgetpu stand-in: the runner of the model has died: see runner.log");
  return fine;
}

static uint64_t hash_inputs(const Model *model, const TfLiteContext *context) {
  uint64_t hash = model->hash;
  for (int i = 0; i < model->inputs->size; i++) {
    const TfLiteTensor *tensor = &context->tensors[model->inputs->data[i]];
    hash = hash_bytes(hash, tensor->data, tensor->bytes);
  }
  return hash;
}

/* All outputs one after another, from the tensors or into them. */
static void copy_outputs(const Model *model, const TfLiteContext *context, unsigned char *all, bool into_tensors) {
  for (int i = 0; i < model->outputs->size; i++) {
    const TfLiteTensor *tensor = &context->tensors[model->outputs->data[i]];
    if (into_tensors) memcpy(tensor->data, all, tensor->bytes);
    else memcpy(all, tensor->data, tensor->bytes);
    all += tensor->bytes;
  }
}

static bool recall_or_ask(Model *model, TfLiteContext *context) {
  size_t bytes = tensor_bytes(context, model->outputs);
  unsigned char *all = malloc(bytes);
  uint64_t hash = hash_inputs(model, context);
  bool known = recall_answer(hash, all, bytes), fine = known;
  if (known) {
    copy_outputs(model, context, all, true);
  } else if ((fine = start_model(model, context) && ask_model(model, context))) {
    copy_outputs(model, context, all, false);
    keep_answer(hash, all, bytes);
  }
  free(all);
  return fine;
}

bool run_model(Model *model, TfLiteContext *context, const char *exec) {
  if (is(exec, "cache")) return recall_or_ask(model, context);
  if (!is(exec, "zero")) return start_model(model, context) && ask_model(model, context);
  for (int i = 0; i < model->outputs->size; i++) {
    const TfLiteTensor *tensor = &context->tensors[model->outputs->data[i]];
    memset(tensor->data, 0, tensor->bytes);
  }
  return true;
}
