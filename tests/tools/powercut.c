/*
 * powercut - looks at a power-cut log and builds disks from it. How to make a log: tests/tools/powercut/shim.c.
 *
 *   powercut LOG                                       how many records of each kind, and the marks
 *   powercut LOG DIR AT all|none|some|torn SEED OUT    the watched directory DIR as a cut after AT records may leave it, in OUT
 */
#include "tests/tools/powercut/replay.h"

static const char *const op_names[] = {"",     "create",   "write",     "durable",   "truncate", "sync begin", "sync end",
                                       "rename", "link",   "unlink",    "mkdir",     "mark"};

static int summary(const struct cut_log *l)
{
    uint32_t counts[ARRAY_LEN(op_names)] = {0};

    for (uint32_t i = 0; i < l->n; i++) {
        const struct cut_record *v = &l->v[i];

        counts[v->r->op < ARRAY_LEN(counts) ? v->r->op : 0]++;
        if (v->r->op == OP_MARK)
            printf("%u\t%lld\t%.*s\n", i, (long long)v->r->mono_ns, STR_ARG(v->path));
    }
    for (uint32_t i = 1; i < ARRAY_LEN(counts); i++)
        printf("%s: %u\n", op_names[i], counts[i]);
    printf("%u records, %zu bytes\n", l->n, l->nbytes);
    return 0;
}

static int mode_of(const char *z)
{
    static const char *const names[] = {"all", "none", "some", "torn"};

    for (int i = 0; i < 4; i++)
        if (strcmp(z, names[i]) == 0)
            return i;
    return -1;
}

int main(int argc, char **argv)
{
    struct cut_log l;
    struct stat st;
    int mode;

    if (argc != 2 && argc != 7) {
        fprintf(stderr, "usage: powercut LOG [DIR AT all|none|some|torn SEED OUT]\n");
        return 2;
    }
    if (!cut_log_read(argv[1], argc == 7 ? argv[2] : "", &l)) {
        fprintf(stderr, "cannot read %s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    if (argc == 2)
        return summary(&l);
    mode = mode_of(argv[4]);
    if (mode < 0 || stat(argv[2], &st) < 0 ||
        !cut_image(&l, (uint32_t)strtoul(argv[3], NULL, 10), (enum cut_mode)mode, strtoull(argv[5], NULL, 10), st.st_ino, argv[6])) {
        fprintf(stderr, "cannot build %s\n", argv[6]);
        return 1;
    }
    cut_log_release(&l);
    return 0;
}
