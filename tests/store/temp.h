/* temp.h - a folder of a test's own, and memory that it shares with its children. Behind cmocka.h. */
#ifndef TESTS_STORE_TEMP_H
#define TESTS_STORE_TEMP_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { TEMP_DIR_MAX = 64 };

/* dir has room for TEMP_DIR_MAX bytes. */
static inline void temp_dir(char *dir, const char *name)
{
    snprintf(dir, TEMP_DIR_MAX, "/tmp/%s.XXXXXX", name);
    assert_non_null(mkdtemp(dir));
}

static inline void temp_remove(const char *dir)
{
    char cmd[256];

    snprintf(cmd, sizeof cmd, "rm -rf '%s'", dir);
    assert_int_equal(system(cmd), 0);
}

/* Zeroed; munmap it. */
static inline void *temp_shared(size_t n)
{
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_ptr_not_equal(p, MAP_FAILED);
    return p;
}

#endif
