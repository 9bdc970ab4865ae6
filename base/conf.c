/*
 * conf.c - see conf.h. libyaml's events become the tree; the typed readers are in conf_get.c.
 *
 * (1) An alias is a copy, so that each place has its own `used` marks; all nodes, copies included, are counted against
 * NODES_MAX and all bytes against BYTES_MAX, so that aliases of aliases cannot explode. (2) An anchor is known only
 * after its node is complete: a node cannot contain itself. (3) In a map each key stands once, and its own keys win
 * over merged ones, wherever the merge stands.
 */
#include "base/conf.h"

#include "base/buf.h"
#include "base/map.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <yaml.h>

enum { NODES_MAX = 500000, DEPTH_MAX = 100, BYTES_MAX = 16 << 20 };

struct reader {
    struct arena *a;
    struct str file;
    yaml_parser_t yaml;
    struct map anchors; /* name -> struct conf */
    uint32_t nodes;
    unsigned depth;
    struct err *e;
};

static int read_node(struct reader *r, const yaml_event_t *first, struct conf **out);

static int fail_at(struct reader *r, size_t line, const char *what)
{
    return err_set(r->e, ERR_INVALID, "%.*s:%zu: %s", STR_ARG(r->file), line + 1, what);
}

/* Next event; the caller deletes it. */
static int next_event(struct reader *r, yaml_event_t *ev)
{
    const yaml_parser_t *y = &r->yaml;

    if (yaml_parser_parse(&r->yaml, ev))
        return 0;
    if (y->error == YAML_MEMORY_ERROR)
        return err_set(r->e, ERR_LIMIT, "%.*s: out of memory", STR_ARG(r->file));
    if (y->context && y->context_mark.line != y->problem_mark.line)
        return err_set(r->e, ERR_INVALID, "%.*s:%zu: %s (%s at line %zu)", STR_ARG(r->file), y->problem_mark.line + 1,
                       y->problem, y->context, y->context_mark.line + 1);
    return fail_at(r, y->problem_mark.line, y->problem ? y->problem : "not YAML");
}

static int new_node(struct reader *r, enum conf_kind kind, int line, int col, struct conf **out)
{
    if (++r->nodes > NODES_MAX)
        return err_set(r->e, ERR_LIMIT, "%.*s:%d: more than %d values, aliases counted as often as they are used",
                       STR_ARG(r->file), line, NODES_MAX);
    *out = arena_new(r->a, struct conf);
    (*out)->kind = kind;
    (*out)->line = line;
    (*out)->col = col;
    (*out)->file = r->file;
    return 0;
}

/* Room for one more child. */
static void grow(struct arena *a, struct conf *c)
{
    bool map = c->kind == CONF_MAP;
    uint32_t cap = c->n * 2;
    struct conf **items;

    if (c->n & (c->n - 1)) /* arrays grow at powers of two */
        return;
    if (cap == 0)
        cap = 1;
    items = arena_array(a, struct conf *, cap);
    if (c->n)
        memcpy(items, c->items, c->n * sizeof *items);
    c->items = items;
    if (map) {
        struct str *keys = arena_array(a, struct str, cap);
        int *lines = arena_array(a, int, cap);

        if (c->n) {
            memcpy(keys, c->keys, c->n * sizeof *keys);
            memcpy(lines, c->key_lines, c->n * sizeof *lines);
        }
        c->keys = keys;
        c->key_lines = lines;
    }
}

static void add(struct arena *a, struct conf *c, struct str key, int key_line, struct conf *value)
{
    grow(a, c);
    c->items[c->n] = value;
    if (c->kind == CONF_MAP) {
        c->keys[c->n] = key;
        c->key_lines[c->n] = key_line;
    }
    c->n++;
}

static int copy(struct reader *r, const struct conf *from, struct conf **out)
{
    struct conf *c;
    int rc = new_node(r, from->kind, from->line, from->col, &c);

    if (rc < 0)
        return rc;
    c->text = from->text;
    c->quoted = from->quoted;
    for (uint32_t i = 0; i < from->n; i++) {
        struct conf *child;

        rc = copy(r, from->items[i], &child);
        if (rc < 0)
            return rc;
        add(r->a, c, c->kind == CONF_MAP ? from->keys[i] : STR_NULL, c->kind == CONF_MAP ? from->key_lines[i] : 0,
            child);
    }
    if (c->kind == CONF_MAP)
        c->used = arena_array(r->a, bool, c->n);
    *out = c;
    return 0;
}

static bool is_null(struct str s)
{
    return s.n == 0 || str_eqz(s, "~") || str_eqz(s, "null") || str_eqz(s, "Null") || str_eqz(s, "NULL");
}

static int read_scalar(struct reader *r, const yaml_event_t *ev, struct conf **out)
{
    const char *tag = (const char *)ev->data.scalar.tag;
    struct str text = str_n(ev->data.scalar.value, ev->data.scalar.length);
    bool quoted = ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE || (tag && strcmp(tag, YAML_STR_TAG) == 0);
    int rc = new_node(r, !quoted && is_null(text) ? CONF_NULL : CONF_SCALAR, (int)ev->start_mark.line + 1,
                      (int)ev->start_mark.column + 1, out);

    if (rc < 0)
        return rc;
    (*out)->text = arena_dup(r->a, text);
    (*out)->quoted = quoted;
    return 0;
}

static int read_list(struct reader *r, struct conf *c)
{
    for (;;) {
        struct conf *item;
        yaml_event_t ev;
        int rc = next_event(r, &ev);

        if (rc < 0)
            return rc;
        if (ev.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&ev);
            return 0;
        }
        rc = read_node(r, &ev, &item);
        yaml_event_delete(&ev);
        if (rc < 0)
            return rc;
        add(r->a, c, STR_NULL, 0, item);
    }
}

/* Takes over the keys of `from` that c does not have; seen holds c's. */
static int merge_map(struct reader *r, struct conf *c, const struct conf *from, struct map *seen)
{
    if (from->kind != CONF_MAP)
        return err_set(r->e, ERR_INVALID, "%.*s:%d: only a map or a list of maps can be merged with <<",
                       STR_ARG(r->file), from->line);
    for (uint32_t i = 0; i < from->n; i++) {
        struct conf *value;
        bool added;
        int rc;

        map_put(seen, from->keys[i], &added);
        if (!added)
            continue;
        rc = copy(r, from->items[i], &value);
        if (rc < 0)
            return rc;
        add(r->a, c, from->keys[i], from->key_lines[i], value);
    }
    return 0;
}

static int merge(struct reader *r, struct conf *c, const struct conf *from, struct map *seen)
{
    int rc = 0;

    if (from->kind != CONF_LIST)
        return merge_map(r, c, from, seen);
    for (uint32_t i = 0; i < from->n && rc == 0; i++)
        rc = merge_map(r, c, from->items[i], seen);
    return rc;
}

/* One key, at ev, and its value. A merge is put by for the end of the map: its keys must not win. */
static int read_pair(struct reader *r, struct conf *c, const yaml_event_t *ev, struct map *seen, struct conf **merged)
{
    struct str key;
    struct conf *value;
    yaml_event_t next;
    bool added;
    int rc;

    if (ev->type != YAML_SCALAR_EVENT)
        return fail_at(r, ev->start_mark.line, "a key must be a plain word or a string");
    key = arena_dup(r->a, str_n(ev->data.scalar.value, ev->data.scalar.length));
    rc = next_event(r, &next);
    if (rc < 0)
        return rc;
    rc = read_node(r, &next, &value);
    yaml_event_delete(&next);
    if (rc < 0)
        return rc;
    if (str_eqz(key, "<<") && ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE) {
        if (*merged)
            return fail_at(r, ev->start_mark.line, "key \"<<\" stands twice in one map");
        *merged = value;
        return 0;
    }
    map_put(seen, key, &added);
    if (!added)
        return err_set(r->e, ERR_INVALID, "%.*s:%zu: key \"%.*s\" stands twice in one map", STR_ARG(r->file),
                       ev->start_mark.line + 1, STR_ARG(str_head(key, 100)));
    add(r->a, c, key, (int)ev->start_mark.line + 1, value);
    return 0;
}

static int read_map(struct reader *r, struct conf *c)
{
    struct conf *merged = NULL;
    struct map seen = {0};
    int rc;

    for (;;) {
        yaml_event_t ev;

        rc = next_event(r, &ev);
        if (rc < 0)
            break;
        if (ev.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&ev);
            if (merged)
                rc = merge(r, c, merged, &seen);
            break;
        }
        rc = read_pair(r, c, &ev, &seen, &merged);
        yaml_event_delete(&ev);
        if (rc < 0)
            break;
    }
    map_release(&seen);
    if (rc == 0)
        c->used = arena_array(r->a, bool, c->n);
    return rc;
}

static int read_alias(struct reader *r, const yaml_event_t *ev, struct conf **out)
{
    struct str name = str_of((const char *)ev->data.alias.anchor);
    struct conf *target = map_get(&r->anchors, name);

    if (!target)
        return err_set(r->e, ERR_INVALID, "%.*s:%zu: no anchor \"%.*s\" is complete here", STR_ARG(r->file),
                       ev->start_mark.line + 1, STR_ARG(str_head(name, 100)));
    return copy(r, target, out);
}

static int read_collection(struct reader *r, const yaml_event_t *ev, struct conf **out)
{
    bool list = ev->type == YAML_SEQUENCE_START_EVENT;
    int rc =
        new_node(r, list ? CONF_LIST : CONF_MAP, (int)ev->start_mark.line + 1, (int)ev->start_mark.column + 1, out);

    if (rc < 0)
        return rc;
    if (r->depth == DEPTH_MAX)
        return fail_at(r, ev->start_mark.line, "nested too deep");
    r->depth++;
    rc = list ? read_list(r, *out) : read_map(r, *out);
    r->depth--;
    return rc;
}

static int read_node(struct reader *r, const yaml_event_t *ev, struct conf **out)
{
    const yaml_char_t *anchor = NULL;
    int rc;

    switch (ev->type) {
    case YAML_ALIAS_EVENT:
        return read_alias(r, ev, out);
    case YAML_SCALAR_EVENT:
        anchor = ev->data.scalar.anchor;
        rc = read_scalar(r, ev, out);
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = ev->data.sequence_start.anchor;
        rc = read_collection(r, ev, out);
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = ev->data.mapping_start.anchor;
        rc = read_collection(r, ev, out);
        break;
    default:
        return fail_at(r, ev->start_mark.line, "a value is missing");
    }
    if (rc == 0 && anchor)
        *map_put(&r->anchors, arena_dup(r->a, str_of((const char *)anchor)), NULL) = *out;
    return rc;
}

/* The one document of the stream. */
static int read_stream(struct reader *r, struct conf **out)
{
    bool have = false;

    for (;;) {
        yaml_event_t ev;
        yaml_event_type_t type;
        size_t line;
        int rc = next_event(r, &ev);

        if (rc < 0)
            return rc;
        type = ev.type;
        line = ev.start_mark.line;
        if (type == YAML_DOCUMENT_START_EVENT && have)
            rc = fail_at(r, line, "a second document begins: one is wanted");
        else if (type != YAML_STREAM_START_EVENT && type != YAML_DOCUMENT_START_EVENT &&
                 type != YAML_DOCUMENT_END_EVENT && type != YAML_STREAM_END_EVENT) {
            have = true;
            rc = read_node(r, &ev, out);
        }
        yaml_event_delete(&ev);
        if (rc < 0)
            return rc;
        if (type == YAML_STREAM_END_EVENT)
            return have ? 0 : new_node(r, CONF_NULL, 1, 1, out);
    }
}

int conf_parse(struct arena *a, struct str file, struct str text, struct conf **out, struct err *e)
{
    struct reader r = {.a = a, .file = arena_dup(a, file), .e = e};
    struct conf *c = NULL;
    int rc;

    if (text.n > BYTES_MAX)
        return err_set(e, ERR_LIMIT, "%.*s: %zu bytes are over the limit of %d", STR_ARG(file), text.n, BYTES_MAX);
    if (!yaml_parser_initialize(&r.yaml))
        return err_set(e, ERR_LIMIT, "%.*s: out of memory", STR_ARG(file));
    yaml_parser_set_input_string(&r.yaml, (const unsigned char *)(text.p ? text.p : ""), text.n);
    rc = read_stream(&r, &c);
    yaml_parser_delete(&r.yaml);
    map_release(&r.anchors);
    if (rc == 0)
        *out = c;
    return rc;
}

/* All of an open file, at most BYTES_MAX and one. */
static int read_file(int fd, struct buf *out)
{
    for (;;) {
        ssize_t n = read(fd, buf_reserve(out, 65536), 65536);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -1 : 0;
        out->n += (size_t)n;
        if (out->n > BYTES_MAX)
            return 0;
    }
}

int conf_load(struct arena *a, const char *path, struct conf **out, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc;
    struct buf text = {0};

    if (fd < 0)
        return err_sys(e, errno, "%s", path);
    if (read_file(fd, &text) < 0)
        rc = err_sys(e, errno, "%s", path);
    else
        rc = conf_parse(a, str_of(path), buf_str(&text), out, e);
    close(fd);
    buf_release(&text);
    return rc;
}
