/* huge.c - see huge.h. */
#include "tsdb/huge.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { HEAP_MAX = 64 * 1024 };

void *huge_new(size_t n, bool huge)
{
    size_t all = n + HUGE_PAGE, front;
    char *p;

    if (n <= HEAP_MAX)
        return x_zalloc(n);
    p = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
        fprintf(stderr, "out of memory: no %zu bytes\n", n);
        abort();
    }
    front = (HUGE_PAGE - (uintptr_t)p % HUGE_PAGE) % HUGE_PAGE;
    n = (n + 4095) / 4096 * 4096;
    if (front)
        munmap(p, front);
    if (all - front > n)
        munmap(p + front + n, all - front - n);
    if (huge)
        madvise(p + front, n, MADV_HUGEPAGE); /* a wish: without it the pages are small, that is all */
    return p + front;
}

void huge_free(void *p, size_t n)
{
    if (n <= HEAP_MAX)
        free(p);
    else if (p)
        munmap(p, (n + 4095) / 4096 * 4096);
}
