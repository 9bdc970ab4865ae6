/*
 * pages.c - see pages.h. The layout is that of LMDB 0.9 on a 64-bit little-endian machine:
 *
 *   page   u64 number | u16 0 | u16 flags | u16 lower | u16 upper  (overflow: u32 pages) | u16 offsets[] ... nodes
 *   node   leaf: u32 value bytes | u16 flags | u16 key bytes | key | value, or u64 page number of it
 *          branch: 48 bits of page number | u16 key bytes | key
 *   meta   pages 0 and 1, at 16: u32 magic | u32 version | u64 | u64 map bytes | 2 tables | u64 last page | u64 txn
 *   table  u32 page bytes | u16 flags | u16 depth | u64 branch, leaf, overflow pages | u64 entries | u64 root
 *
 * (1) Nothing read here is followed before it was checked against the size of the file and of the page.
 * (2) A page is in the tree or in the free list, once: a bit for each page of the file says which were met.
 * (3) The metas of two successive commits differ by one; anything else is a flipped bit that would hide the newest one.
 */
#include "store/pages.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    HEAD = 16, NODE = 8, DEPTH_MAX = 20, META_AT = 16, META_BYTES = 136, TABLES_AT = 24, TABLE_BYTES = 48,
    BRANCH = 1, LEAF = 2, OVERFLOW = 4, META = 8, BIG = 1, FIXED_MAP = 1, INTEGER_KEYS = 8, SHORT_MAX = 1024,
};
#define MAGIC 0xbeefc0deu
#define NO_PAGE UINT64_MAX

struct table {
    uint16_t flags, depth;
    uint64_t branch, leaf, overflow, entries, root;
};

struct meta {
    struct table free, main;
    uint64_t last_page, txn;
};

struct walk {
    const struct pages_source *src;
    struct pages_check *c;
    uint64_t npages; /* that the file has */
    uint64_t npages_meta;
    unsigned char *met;
    struct err *e;

    /* Of the table being walked. */
    bool free_list;
    bool integer_keys;
    struct table seen;
    struct buf last_key, value;
    bool any_key;
};

static int bad(struct walk *w, uint64_t page, const char *what)
{
    return err_set(w->e, ERR_CORRUPT, "page %llu: %s", (unsigned long long)page, what);
}

static int read_at(struct walk *w, void *p, size_t n, uint64_t page)
{
    int rc;

    if (page > w->src->bytes / PAGES_PAGE || n > w->src->bytes - page * PAGES_PAGE)
        return bad(w, page, "lies behind the end of the file");
    rc = w->src->read(w->src->arg, p, n, page * PAGES_PAGE);
    if (rc)
        return err_sys(w->e, rc, "cannot read page %llu", (unsigned long long)page);
    return w->c->pace ? w->c->pace(w->c->arg, n) : 0;
}

/* Marks n pages from `page` as met. */
static int meet(struct walk *w, uint64_t page, uint64_t n)
{
    if (page < 2 || page >= w->npages_meta || n > w->npages_meta - page)
        return bad(w, page, "is not one of the commit's");
    for (uint64_t i = page; i < page + n; i++) {
        if (w->met[i / 8] & 1u << i % 8)
            return bad(w, i, "is used twice");
        w->met[i / 8] |= (unsigned char)(1u << i % 8);
    }
    return 0;
}

/* --- metas -------------------------------------------------------------------------------------- */

static struct table get_table(const unsigned char *p)
{
    return (struct table){get_u16le(p + 4),  get_u16le(p + 6),  get_u64le(p + 8), get_u64le(p + 16),
                          get_u64le(p + 24), get_u64le(p + 32), get_u64le(p + 40)};
}

static int read_meta(struct walk *w, unsigned i, struct meta *m)
{
    unsigned char p[META_AT + META_BYTES];
    int rc = read_at(w, p, sizeof p, i);

    if (rc < 0)
        return rc;
    if (get_u64le(p) != i || !(get_u16le(p + 10) & META) || get_u32le(p + META_AT) != MAGIC)
        return bad(w, i, "is not a meta page");
    if (get_u32le(p + META_AT + 4) != 1 || get_u32le(p + META_AT + TABLES_AT) != PAGES_PAGE)
        return bad(w, i, "another LMDB format or page size");
    m->free = get_table(p + META_AT + TABLES_AT);
    m->main = get_table(p + META_AT + TABLES_AT + TABLE_BYTES);
    m->last_page = get_u64le(p + META_AT + TABLES_AT + 2 * TABLE_BYTES);
    m->txn = get_u64le(p + META_AT + TABLES_AT + 2 * TABLE_BYTES + 8);
    return 0;
}

static int choose_meta(struct walk *w, struct meta *out)
{
    struct meta m[2];
    int rc = read_meta(w, 0, &m[0]), pick;

    if (rc == 0)
        rc = read_meta(w, 1, &m[1]);
    if (rc < 0)
        return rc;
    pick = m[1].txn > m[0].txn;
    if (w->c->txn) { /* of a file that others write: ours is one of the two, or was overwritten meanwhile */
        pick = m[1].txn == w->c->txn;
        if (m[pick].txn != w->c->txn)
            return err_set(w->e, ERR_AGAIN, "commit %llu is not among the metas any more", (unsigned long long)w->c->txn);
    } else if (m[pick].txn - m[!pick].txn > 1)
        return bad(w, (uint64_t)pick, "the two metas are not of successive commits");
    if (m[pick].txn > 0 && (m[pick].txn & 1) != (unsigned)pick)
        return bad(w, (uint64_t)pick, "a commit in the other one's place");
    /* The flags of the free list carry those of the environment along; a fixed address is never one of ours. */
    if ((m[pick].free.flags & (INTEGER_KEYS | FIXED_MAP)) != INTEGER_KEYS || m[pick].main.flags != (w->c->integer_keys ? INTEGER_KEYS : 0))
        return bad(w, (uint64_t)pick, "impossible table flags");
    *out = m[pick];
    return 0;
}

/* --- leaves ------------------------------------------------------------------------------------- */

static int compare(const struct walk *w, struct str a, struct str b)
{
    if (w->integer_keys) {
        uint64_t x = get_u64le(a.p), y = get_u64le(b.p);

        return (x > y) - (x < y);
    }
    return str_cmp(a, b);
}

static int check_key(struct walk *w, uint64_t page, struct str key)
{
    if (key.n == 0 || key.n > PAGES_KEY_MAX || (w->integer_keys && key.n != 8))
        return bad(w, page, "a key of impossible length");
    if (w->any_key && compare(w, buf_str(&w->last_key), key) >= 0)
        return bad(w, page, "keys out of order");
    buf_reset(&w->last_key);
    buf_puts(&w->last_key, key);
    w->any_key = true;
    return 0;
}

/* An entry of the free list: a commit's number -> u64 count, then as many page numbers, falling. */
static int check_free(struct walk *w, uint64_t page, struct str v)
{
    uint64_t n, last = NO_PAGE;
    int rc = 0;

    if (v.n < 8 || (n = get_u64le(v.p)) > v.n / 8 - 1)
        return bad(w, page, "an impossible free list");
    for (uint64_t i = 1; i <= n && rc == 0; i++) {
        uint64_t p = get_u64le(v.p + 8 * i);

        if (p >= last)
            return bad(w, page, "a free list out of order");
        last = p;
        rc = meet(w, p, 1);
    }
    w->c->free_pages += n;
    return rc;
}

/* How many pages the value has: at least `least`; LMDB leaves a value more when it is overwritten by a shorter one. */
static int big_pages(struct walk *w, uint64_t first, uint64_t least, uint64_t *pages)
{
    unsigned char h[HEAD];
    int rc;

    *pages = least;
    if (w->c->light && !w->c->values && !w->free_list)
        return 0;
    rc = read_at(w, h, sizeof h, first);
    if (rc < 0)
        return rc;
    *pages = get_u32le(h + 12);
    if (get_u64le(h) != first || get_u16le(h + 10) != OVERFLOW || *pages < least)
        return bad(w, first, "is not the beginning of that value");
    return 0;
}

/* A value that has pages of its own. */
static int big_value(struct walk *w, uint64_t first, size_t n, struct str *value)
{
    uint64_t pages;
    int rc = big_pages(w, first, (HEAD - 1 + (uint64_t)n) / PAGES_PAGE + 1, &pages);

    *value = (struct str){NULL, n};
    if (rc == 0)
        rc = meet(w, first, pages);
    if (rc < 0)
        return rc;
    w->seen.overflow += pages;
    if (first > w->npages || pages > w->npages - first)
        return bad(w, first, "lies behind the end of the file");
    if (!w->c->values && !w->free_list)
        return 0;
    buf_reset(&w->value);
    value->p = buf_reserve(&w->value, n + HEAD) + HEAD;
    return read_at(w, w->value.p, n + HEAD, first);
}

static int leaf_node(struct walk *w, uint64_t page, const unsigned char *p, uint16_t at, uint16_t end)
{
    const unsigned char *node = p + at;
    uint32_t n = get_u32le(node);
    uint16_t flags = get_u16le(node + 4), key_bytes = get_u16le(node + 6);
    struct str key = str_n(node + NODE, key_bytes), value;
    size_t room = (size_t)(end - at) - NODE;
    int rc;

    if (key_bytes > room || (flags & ~BIG) || (flags & BIG ? 8u : n) > room - key_bytes)
        return bad(w, page, "a node that does not fit");
    rc = check_key(w, page, key);
    if (rc < 0)
        return rc;
    if (flags & BIG)
        rc = big_value(w, get_u64le(node + NODE + key_bytes), n, &value);
    else
        value = str_n(node + NODE + key_bytes, n);
    w->seen.entries++;
    if (rc < 0)
        return rc;
    if (w->free_list)
        return check_free(w, page, value);
    w->c->pairs++;
    return w->c->pair ? w->c->pair(w->c->arg, key, value, w->e) : 0;
}

/* --- the tree ----------------------------------------------------------------------------------- */

/* Nodes lie between upper and the end of the page, each to the beginning of the one before it in memory. */
static int check_page(struct walk *w, uint64_t page, const unsigned char *p, uint16_t want, uint16_t *n)
{
    uint16_t lower = get_u16le(p + 12), upper = get_u16le(p + 14);

    if (get_u64le(p) != page)
        return bad(w, page, "bears another number");
    if (get_u16le(p + 10) != want)
        return bad(w, page, "is of another kind than its place in the tree");
    if (lower < HEAD || (lower & 1) || lower > upper || upper > PAGES_PAGE)
        return bad(w, page, "impossible bounds");
    *n = (uint16_t)((lower - HEAD) / 2);
    if (*n < (want == BRANCH && !w->free_list ? 2 : 1)) /* as LMDB itself asserts */
        return bad(w, page, "too few nodes");
    for (uint16_t i = 0; i < *n; i++) {
        uint16_t at = get_u16le(p + HEAD + 2 * i);

        if (at < upper || at > PAGES_PAGE - NODE || (at & 1))
            return bad(w, page, "a node outside of it");
    }
    return 0;
}

static int walk_page(struct walk *w, uint64_t page, unsigned depth);

static int branch(struct walk *w, uint64_t page, const unsigned char *p, uint16_t n, unsigned depth)
{
    int rc = 0;

    for (uint16_t i = 0; i < n && rc == 0; i++) {
        const unsigned char *node = p + get_u16le(p + HEAD + 2 * i);
        uint16_t key_bytes = get_u16le(node + 6);
        struct str key = str_n(node + NODE, key_bytes);
        uint64_t child = get_u32le(node) | (uint64_t)get_u16le(node + 4) << 32;

        if (key_bytes > (size_t)(p + PAGES_PAGE - node) - NODE)
            return bad(w, page, "a key that does not fit");
        if (i > 0 && (key_bytes == 0 || (w->integer_keys && key_bytes != 8)))
            return bad(w, page, "a key of impossible length");
        /* Everything left of a separator is below it; what is right of it is checked by the child's first key below. */
        if (i > 0 && compare(w, buf_str(&w->last_key), key) >= 0)
            return bad(w, page, "a separator that is not above the keys before it");
        if (i > 0) {
            buf_reset(&w->last_key); /* the next key may equal it, not precede it */
            buf_puts(&w->last_key, key);
            w->any_key = false;
        }
        rc = walk_page(w, child, depth + 1);
    }
    return rc;
}

/* The first key under a separator may equal it. Called with the page's first key before it is checked for order. */
static int check_first(struct walk *w, uint64_t page, const unsigned char *p)
{
    const unsigned char *node = p + get_u16le(p + HEAD);
    uint16_t key_bytes = get_u16le(node + 6);

    if (key_bytes > (size_t)(p + PAGES_PAGE - node) - NODE || (w->integer_keys && key_bytes != 8))
        return bad(w, page, "a key of impossible length");
    if (w->last_key.n > 0 && !w->any_key && compare(w, str_n(node + NODE, key_bytes), buf_str(&w->last_key)) < 0)
        return bad(w, page, "a key below its separator");
    return 0;
}

static int walk_page(struct walk *w, uint64_t page, unsigned depth)
{
    unsigned char p[PAGES_PAGE];
    bool is_leaf = depth == w->seen.depth;
    uint16_t n = 0;
    int rc = meet(w, page, 1);

    if (rc == 0)
        rc = read_at(w, p, sizeof p, page);
    if (rc == 0)
        rc = check_page(w, page, p, is_leaf ? LEAF : BRANCH, &n);
    if (rc < 0)
        return rc;
    if (!is_leaf) {
        w->seen.branch++;
        return branch(w, page, p, n, depth);
    }
    w->seen.leaf++;
    rc = check_first(w, page, p);
    for (uint16_t i = 0; i < n && rc == 0; i++)
        rc = leaf_node(w, page, p, get_u16le(p + HEAD + 2 * i), PAGES_PAGE);
    return rc;
}

static bool same_counts(const struct table *a, const struct table *b)
{
    return a->branch == b->branch && a->leaf == b->leaf && a->overflow == b->overflow && a->entries == b->entries;
}

static int walk_table(struct walk *w, const struct table *t, bool free_list)
{
    int rc;

    w->free_list = free_list;
    w->integer_keys = free_list || w->c->integer_keys;
    w->seen = (struct table){.flags = t->flags, .depth = t->depth, .root = t->root};
    w->any_key = false;
    buf_reset(&w->last_key);
    if (t->root == NO_PAGE)
        return t->entries || t->depth ? bad(w, 0, "an empty table that counts entries") : 0;
    if (t->depth == 0 || t->depth > DEPTH_MAX)
        return bad(w, t->root, "an impossible depth");
    rc = walk_page(w, t->root, 1);
    if (w->c->light && w->seen.overflow <= t->overflow)
        w->seen.overflow = t->overflow;
    if (rc == 0 && !same_counts(&w->seen, t))
        rc = bad(w, t->root, "the counts of the table are not those of its pages");
    return rc;
}

/* Pages behind the end of the file: LMDB leaves out some that it took and never used. Then nothing refers to them. */
static int check_size(struct walk *w)
{
    if (w->npages_meta <= w->npages)
        return 0;
    if (w->npages_meta - w->npages > SHORT_MAX)
        return err_set(w->e, ERR_CORRUPT, "the file has %llu pages, its newest commit %llu", (unsigned long long)w->npages,
                       (unsigned long long)w->npages_meta);
    return 0; /* those met were read, or lie in the free list */
}

int pages_walk(const struct pages_source *src, struct pages_check *c, struct err *e)
{
    struct walk w = {.src = src, .c = c, .npages = src->bytes / PAGES_PAGE};
    struct meta m;
    struct err mine;
    int rc;

    w.e = e ? e : &mine;
    c->free_pages = c->pairs = 0;
    rc = choose_meta(&w, &m);
    if (rc < 0)
        return rc;
    if (m.last_page < 1 || m.last_page >= UINT64_MAX / PAGES_PAGE)
        return bad(&w, 0, "an impossible last page");
    w.npages_meta = m.last_page + 1;
    rc = check_size(&w);
    if (rc < 0)
        return rc;
    w.met = x_zalloc((size_t)(w.npages_meta / 8 + 1));
    rc = walk_table(&w, &m.main, false);
    if (rc == 0)
        rc = walk_table(&w, &m.free, true);
    c->found_txn = m.txn;
    c->used_bytes = w.npages_meta * PAGES_PAGE;
    free(w.met);
    buf_release(&w.last_key);
    buf_release(&w.value);
    return rc;
}

/* --- files -------------------------------------------------------------------------------------- */

static int read_file(void *arg, void *p, size_t n, uint64_t at)
{
    int fd = *(int *)arg;

    while (n > 0) {
        ssize_t got = pread(fd, p, n, (off_t)at);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? errno : EIO;
        p = (char *)p + got;
        n -= (size_t)got;
        at += (uint64_t)got;
    }
    return 0;
}

int pages_walk_file(const char *path, struct pages_check *c, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc;
    struct pages_source src = {read_file, &fd, 0};
    struct stat st;

    if (fd < 0)
        return err_sys(e, errno, "cannot open %s", path);
    if (fstat(fd, &st) < 0)
        rc = err_sys(e, errno, "cannot stat %s", path);
    else {
        src.bytes = (uint64_t)st.st_size;
        rc = pages_walk(&src, c, e);
    }
    if (c->pace) /* whoever reads slowly shall not push others out of the page cache either */
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
    return rc;
}
