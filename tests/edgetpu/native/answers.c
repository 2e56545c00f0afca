/* Remembered answers: one small file each, in the world's folder, so that they outlive a process and serve them all. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "standin.h"

#define MOST_ANSWERS 4096
#define PLACES 8 /* where one answer may be; where all are taken, a later one takes the place of an earlier one */

uint64_t hash_bytes(uint64_t hash, const void *data, size_t bytes) {
  const unsigned char *byte = data;
  for (; bytes >= 8; byte += 8, bytes -= 8) {
    uint64_t word;
    memcpy(&word, byte, 8);
    hash = (hash ^ word) * 0x9E3779B97F4A7C15ULL;
    hash ^= hash >> 29;
  }
  for (; bytes; byte++, bytes--) hash = (hash ^ *byte) * 1099511628211ULL;
  return hash;
}

static void answer_path(uint64_t hash, unsigned place, char path[PATH_ROOM]) {
  world_path(path, "/answers/%04u", ((unsigned)(hash >> 20) + place) % MOST_ANSWERS);
}

bool recall_answer(uint64_t hash, void *answer, size_t bytes) {
  for (unsigned place = 0; place < PLACES; place++) {
    char path[PATH_ROOM];
    uint64_t kept = 0;
    answer_path(hash, place, path);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return false;
    bool known = read(file, &kept, sizeof kept) == sizeof kept && kept == hash &&
                 read(file, answer, bytes) == (ssize_t)bytes;
    close(file);
    if (known) return true;
  }
  return false;
}

void keep_answer(uint64_t hash, const void *answer, size_t bytes) {
  char path[PATH_ROOM], aside[PATH_ROOM];
  unsigned place = 0;
  for (answer_path(hash, 0, path); access(path, F_OK) == 0 && place < PLACES; place++)
    answer_path(hash, (place + 1) % PLACES, path);
  world_path(aside, "/aside/answer.%d", (int)gettid());
  int file = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) return;
  struct iovec parts[] = {{&hash, sizeof hash}, {(void *)answer, bytes}};
  bool whole = writev(file, parts, 2) == (ssize_t)(sizeof hash + bytes);
  close(file);
  if (whole) rename(aside, path);
  else unlink(aside);
}
