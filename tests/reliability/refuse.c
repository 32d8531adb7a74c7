/* Loaded before the C library: the n-th allocation of at least so many bytes fails. */
#include <errno.h>
#include <stddef.h>

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t), *__libc_memalign(size_t, size_t);

static size_t least;
static long nth, seen;

void refuse(long n, size_t bytes) { nth = n, seen = 0, least = bytes; }
long large(void) { return seen; }

static int refused(size_t bytes) {
    return least && bytes >= least && __sync_add_and_fetch(&seen, 1) == nth;
}
void *malloc(size_t n) { return refused(n) ? (errno = ENOMEM, NULL) : __libc_malloc(n); }
void *calloc(size_t m, size_t n) {
    return refused(m * n) ? (errno = ENOMEM, NULL) : __libc_calloc(m, n);
}
void *realloc(void *p, size_t n) {
    return refused(n) ? (errno = ENOMEM, NULL) : __libc_realloc(p, n);
}
void *aligned_alloc(size_t a, size_t n) {
    return refused(n) ? (errno = ENOMEM, NULL) : __libc_memalign(a, n);
}
int posix_memalign(void **p, size_t a, size_t n) {
    void *found = refused(n) ? NULL : __libc_memalign(a, n);
    return found ? (*p = found, 0) : ENOMEM;
}
