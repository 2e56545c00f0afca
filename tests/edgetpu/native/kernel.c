/* The delegate: takes every edgetpu-custom-op of a model and runs it in its own time, or fails as told. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "standin.h"

typedef struct {
  Session *session;
  Model model;
  long invokes;
  unsigned random;
} Kernel;

static long invokes; /* of this process */

void suffer(const char *fault, const Session *session, const char *(*still)(Control *)) {
  if (is(fault, "none")) return;
  log_event("\"event\":\"fault\",\"fault\":\"%s\"", fault);
  if (is(fault, "abort") && session) die_of_transfer_error(session, "abort");
  if (is(fault, "abort")) abort();
  if (is(fault, "segv")) raise(SIGSEGV);
  if (is(fault, "exit")) _exit(3);
  while (is(fault, "hang")) {
    sleep_ms(20);
    Control control = read_control();
    if (!is(still(&control), "hang")) return;
  }
}

static const char *fault_now(Control *control) { return control->fault; }
static const char *prepare_fault_now(Control *control) { return control->prepare_fault; }

static void *init(TfLiteContext *context, const char *buffer, size_t length) {
  (void)length;
  const TfLiteDelegateParams *parameters = (const void *)buffer;
  TfLiteNode *node;
  TfLiteRegistration *registration;
  context->GetNodeAndRegistration(context, parameters->nodes_to_replace->data[0], &node, &registration);
  Kernel *kernel = calloc(1, sizeof *kernel);
  kernel->session = parameters->delegate->data_;
  set_up_model(&kernel->model, context, node);
  return kernel;
}

static void free_kernel(TfLiteContext *context, void *data) {
  (void)context;
  Kernel *kernel = data;
  clear_model(&kernel->model);
  free(kernel);
}

static TfLiteStatus prepare(TfLiteContext *context, TfLiteNode *node) {
  Kernel *kernel = node->user_data;
  Control control = read_control();
  suffer(control.prepare_fault, kernel->session, prepare_fault_now);
  if (is(control.prepare_fault, "error")) {
    context->ReportError(context, "Failed to prepare for TPU. Failed precondition: Could not map pages");
    return kTfLiteError;
  }
  return !is(control.exec, "model") || start_model(&kernel->model, context) ? kTfLiteOk : kTfLiteError;
}

static double time_to_take(Kernel *kernel, const Control *control) {
  double latency = control->latency_ms;
  if (kernel->invokes++ == 0 && control->first_ms > latency) latency = control->first_ms;
  return latency + control->jitter_ms * ((double)rand_r(&kernel->random) / RAND_MAX);
}

static TfLiteStatus run(TfLiteContext *context, Kernel *kernel, double start_ms) {
  Control control = read_control();
  check_session(kernel->session);
  bool failing = __atomic_fetch_add(&invokes, 1, __ATOMIC_RELAXED) >= control.fault_after;
  if (failing) suffer(control.fault, kernel->session, fault_now);
  if (failing && is(control.fault, "error")) {
    context->ReportError(context, "Failed to execute request. Deadline exceeded: USB transfer error 2");
    return kTfLiteError;
  }
  double end_ms = start_ms + time_to_take(kernel, &control);
  TfLiteStatus status = run_model(&kernel->model, context, control.exec) ? kTfLiteOk : kTfLiteError;
  double done_ms = now_ms();
  sleep_until(end_ms);
  if (control.trace)
    log_event("\"event\":\"invoke\",\"device\":\"%s\",\"work_ms\":%.3f,\"took_ms\":%.3f", kernel->session->device.name,
              done_ms - start_ms, now_ms() - start_ms);
  return status;
}

static TfLiteStatus invoke(TfLiteContext *context, TfLiteNode *node) {
  Kernel *kernel = node->user_data;
  pthread_mutex_lock(&kernel->session->running);
  TfLiteStatus status = run(context, kernel, now_ms());
  pthread_mutex_unlock(&kernel->session->running);
  return status;
}

/* `found` has room for the whole plan: the plan itself changes as nodes are taken. */
static int find_operators(TfLiteContext *context, const TfLiteIntArray *plan, int *found) {
  int count = 0;
  for (int i = 0; i < plan->size; i++) {
    TfLiteNode *node;
    TfLiteRegistration *registration;
    if (context->GetNodeAndRegistration(context, plan->data[i], &node, &registration) != kTfLiteOk) continue;
    if (registration->custom_name && is(registration->custom_name, EDGETPU_CUSTOM_OP)) found[count++] = plan->data[i];
  }
  return count;
}

static TfLiteStatus take_operators(TfLiteContext *context, TfLiteDelegate *delegate) {
  TfLiteIntArray *plan;
  if (read_control().old_abi) raise(SIGSEGV);
  if (context->GetExecutionPlan(context, &plan) != kTfLiteOk) return kTfLiteError;
  TfLiteRegistration kernel = {.init = init,
                               .free = free_kernel,
                               .prepare = prepare,
                               .invoke = invoke,
                               .custom_name = "EdgeTpuDelegateForCustomOp",
                               .version = 1};
  int *found = calloc((size_t)plan->size + 1, sizeof *found);
  int count = find_operators(context, plan, found);
  for (int i = 0; i < count; i++) {
    struct { int size; int node; } one = {1, found[i]};
    context->ReplaceNodeSubsetsWithDelegateKernels(context, kernel, (const TfLiteIntArray *)&one, delegate);
  }
  free(found);
  return kTfLiteOk;
}

TfLiteDelegate *make_delegate(Session *session) {
  TfLiteDelegate *delegate = calloc(1, sizeof *delegate);
  delegate->data_ = session;
  delegate->Prepare = take_operators;
  delegate->flags = kTfLiteDelegateFlagsAllowDynamicTensors;
  return delegate;
}
