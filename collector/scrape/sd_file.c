/* sd_file.c - file_sd: target groups in .json, .yml and .yaml files named by globs. */
#include "collector/scrape/discovery.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

enum { SD_FILE_BYTES_MAX = 64 << 20 };

/* The groups a file had, when it cannot be read now. */
static void keep_previous(const struct sd_ask *ask, struct str path, struct sd_result *out)
{
    for (uint32_t i = 0; ask->previous && i < ask->previous->n; i++) {
        const struct target_group *g = &ask->previous->groups[i];

        if (str_eq(labels_get(&g->labels, STR("__meta_filepath")), path))
            sd_result_copy_group(out, g);
    }
}

static void add_filepath(struct sd_result *out, struct target_group *g, struct str path)
{
    struct label *v = arena_array(&out->arena, struct label, g->labels.n + 1);
    uint32_t n = 0;

    for (uint32_t i = 0; i < g->labels.n; i++) {
        if (!str_eq(g->labels.v[i].name, STR("__meta_filepath")))
            v[n++] = g->labels.v[i];
    }
    v[n++] = (struct label){STR("__meta_filepath"), path};
    g->labels = (struct labels){v, n};
}

static int read_yaml(struct sd_result *out, struct str path, struct err *e)
{
    struct conf *list = NULL;

    if (conf_load(&out->arena, path.p, &list, e) < 0)
        return ERR_INVALID;
    if (list->kind == CONF_NULL)
        return 0;
    if (conf_want(list, CONF_LIST, "a file of target groups", e) < 0)
        return ERR_INVALID;
    for (uint32_t i = 0; i < list->n; i++) {
        struct target_group g;

        if (read_target_group(&out->arena, list->items[i], false, &g, e) < 0)
            return ERR_INVALID;
        g.source = arena_printf(&out->arena, "%s:%u", path.p, i);
        add_filepath(out, &g, path);
        *sd_result_group(out, g.source) = g;
    }
    return 0;
}

static int read_all(struct arena *a, const char *path, struct str *out, struct err *e)
{
    FILE *f = fopen(path, "rb");
    struct buf b = {0};
    size_t n;

    if (!f)
        return err_sys(e, errno, "%s", path);
    while ((n = fread(buf_reserve(&b, 65536), 1, 65536, f)) > 0 && b.n < SD_FILE_BYTES_MAX)
        b.n += n;
    fclose(f);
    *out = arena_dup(a, buf_str(&b));
    n = b.n;
    buf_release(&b);
    return n < SD_FILE_BYTES_MAX ? 0 : err_set(e, ERR_LIMIT, "%s is over 64 MiB", path);
}

static int read_file(struct sd_result *out, struct str path, struct err *e)
{
    struct str text;

    if (!str_ends(path, STR(".json")))
        return read_yaml(out, path, e);
    if (read_all(&out->arena, path.p, &text, e) < 0 ||
        sd_read_json(out, text, path.p, STR("__meta_filepath"), path, e) < 0)
        return err_ctx(e, "%s", path.p);
    return 0;
}

int sd_file_refresh(const struct sd_ask *ask, struct sd_result *out, struct err *e)
{
    (void)e;
    for (uint32_t i = 0; i < ask->config->nnames; i++) {
        struct str pattern = arena_dup(&out->arena, ask->config->names[i]);
        glob_t g = {0};

        if (glob(pattern.p, 0, NULL, &g) == 0) {
            for (size_t k = 0; k < g.gl_pathc; k++) {
                struct str path = arena_dup(&out->arena, str_of(g.gl_pathv[k]));
                uint32_t before = out->n;
                struct err why;

                if (read_file(out, path, &why) < 0) {
                    log_warn("scrape", "file_sd: %s; keeping what it said before", why.text);
                    out->n = before;
                    keep_previous(ask, path, out);
                }
            }
        }
        globfree(&g);
    }
    return 0;
}
