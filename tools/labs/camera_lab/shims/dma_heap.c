/* LD_PRELOAD: /dev/dma_heap/linux,cma for kernels that have no dma-heaps.
 *
 * Memory comes from memfd_create, which can be mapped and passed on like a dma-buf. The dma-buf ioctls that picamera2
 * makes on it (cache synchronisation, naming) have nothing to do there and succeed. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static const char HEAP[] = "/dev/dma_heap/linux,cma";

#define OPEN(name)                                                                                                     \
    int name(const char *path, int flags, ...)                                                                         \
    {                                                                                                                  \
        static int (*real)(const char *, int, ...);                                                                    \
        mode_t mode = 0;                                                                                               \
        if (!real)                                                                                                     \
            real = dlsym(RTLD_NEXT, #name);                                                                            \
        if (flags & (O_CREAT | __O_TMPFILE)) {                                                                         \
            va_list arguments;                                                                                         \
            va_start(arguments, flags);                                                                                \
            mode = va_arg(arguments, mode_t);                                                                          \
            va_end(arguments);                                                                                         \
        }                                                                                                              \
        return strcmp(path, HEAP) ? real(path, flags, mode) : memfd_create("dma-heap", MFD_CLOEXEC);                   \
    }

OPEN(open)
OPEN(open64)

static int allocate(struct dma_heap_allocation_data *wanted)
{
    int fd = memfd_create("dma-buf", wanted->fd_flags & O_CLOEXEC ? MFD_CLOEXEC : 0);
    if (fd < 0)
        return -1;
    if (ftruncate(fd, (off_t)((wanted->len + 4095) & ~UINT64_C(4095)))) {
        close(fd);
        return -1;
    }
    wanted->fd = (uint32_t)fd;
    return 0;
}

static int is_dma_buf_request(uint32_t request)
{
    return request == (uint32_t)DMA_BUF_IOCTL_SYNC || request == (uint32_t)DMA_BUF_SET_NAME_A ||
           request == (uint32_t)DMA_BUF_SET_NAME_B;
}

int ioctl(int fd, unsigned long request, ...)
{
    static int (*real)(int, unsigned long, ...);
    va_list arguments;
    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (!real)
        real = dlsym(RTLD_NEXT, "ioctl");
    if ((uint32_t)request == (uint32_t)DMA_HEAP_IOCTL_ALLOC)
        return allocate(argument);
    int answer = real(fd, request, argument);
    if (answer < 0 && is_dma_buf_request((uint32_t)request) && (errno == ENOTTY || errno == EINVAL))
        return 0;
    return answer;
}
