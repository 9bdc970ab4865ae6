/*
 * source.c - see source.h.
 *
 * (1) No file holds a buffer between reads but a compressed one: thousands of open files cost thousands of small structs. What was
 *     read and is no whole line is read again, from its beginning.
 * (2) So that a long line that grows slowly is not read over and over, `seen` says up to where there is no \n.
 */
#include "collector/files/source.h"

#include "net/inflate.h"

#include <assert.h>
#include <errno.h>
#include <iconv.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEAD_BYTES = 1024, IN_BYTES = 64 << 10 };

struct source {
    int fd;
    unsigned unit; /* bytes of a code unit: 1, 2 or 4 */
    bool big_endian;
    size_t bom;
    iconv_t iconv; /* (iconv_t)-1: UTF-8 */
    uint64_t seen; /* (2) */

    /* Compressed. */
    enum encoding kind;
    struct inflater *inflater;
    struct buf tail; /* unpacked and not yet taken, from tail_at on */
    uint64_t tail_at, in_at;
    bool whole;
};

/* --- opening -------------------------------------------------------------------------------------------- */

static bool all_zero(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i])
            return false;
    }
    return true;
}

/* The byte order mark decides; then what was configured. */
static int find_encoding(struct source *s, struct str head, struct str configured, struct err *e)
{
    char name[64];
    struct str n = configured;

    if (str_starts(head, STR("\xef\xbb\xbf"))) {
        s->bom = 3;
        n = STR("");
    } else if (str_starts(head, STR("\xff\xfe"))) {
        s->bom = 2;
        n = STR("UTF-16LE");
    } else if (str_starts(head, STR("\xfe\xff"))) {
        s->bom = 2;
        n = STR("UTF-16BE");
    }
    if (n.n >= sizeof(name))
        return err_set(e, ERR_INVALID, "unknown encoding");
    if (!n.n || str_eq_nocase(n, STR("utf-8")) || str_eq_nocase(n, STR("utf8")))
        return 0;
    if (str_eq_nocase(n, STR("utf-16")) || str_eq_nocase(n, STR("utf-16-bom"))) /* without a mark: as on most machines */
        n = STR("UTF-16LE");
    memcpy(name, n.p, n.n);
    name[n.n] = 0;
    s->unit = str_eq_nocase(str_head(n, 6), STR("utf-16")) ? 2 : str_eq_nocase(str_head(n, 6), STR("utf-32")) ? 4 : 1;
    s->big_endian = n.n > 2 && str_eq_nocase(str_from(n, n.n - 2), STR("be"));
    s->iconv = iconv_open("UTF-8", name);
    return s->iconv == (iconv_t)-1 ? err_set(e, ERR_INVALID, "unknown encoding \"%s\"", name) : 0;
}

int source_open(int fd, const struct source_opts *o, struct source **out, struct err *e)
{
    struct source *s = x_zalloc(sizeof(*s));
    char head[HEAD_BYTES];
    ssize_t n;
    struct str text;

    s->fd = fd;
    s->unit = 1;
    s->iconv = (iconv_t)-1;
    n = pread(fd, head, sizeof(head), 0);
    if (n < 0) {
        err_sys(e, errno, "cannot read");
        goto fail;
    }
    text = str_n(head, (size_t)n);
    s->kind = inflater_guess(text);
    if (s->kind != ENC_IDENTITY) {
        if (!o->compressed) {
            err_set(e, ERR_INVALID, "compressed, and decompression is not enabled");
            goto fail;
        }
        *out = s;
        return 0;
    }
    if (find_encoding(s, text, o->encoding, e) < 0)
        goto fail;
    if (s->unit == 1 && str_chr(text, '\0') >= 0 && !all_zero(str_head(text, 16))) { /* a hole at the front is no sign */
        err_set(e, ERR_INVALID, "looks binary: a zero byte at %zd", str_chr(text, '\0'));
        goto fail;
    }
    *out = s;
    return 0;
fail:
    source_free(s);
    return e->code;
}

void source_free(struct source *s)
{
    if (!s)
        return;
    close(s->fd);
    if (s->iconv != (iconv_t)-1)
        iconv_close(s->iconv);
    inflater_free(s->inflater);
    buf_release(&s->tail);
    free(s);
}

int source_fd(const struct source *s)
{
    return s->fd;
}

bool source_compressed(const struct source *s)
{
    return s->kind != ENC_IDENTITY;
}

/* --- lines ------------------------------------------------------------------------------------------------ */

/* The first \n at a whole code unit, or NULL. */
static const char *find_newline(const struct source *s, const char *p, const char *end)
{
    if (s->unit == 1)
        return p < end ? memchr(p, '\n', (size_t)(end - p)) : NULL;
    for (; (size_t)(end - p) >= s->unit; p += s->unit) {
        unsigned low = s->big_endian ? s->unit - 1 : 0, zeros = 0;

        for (unsigned i = 0; i < s->unit; i++)
            zeros += i != low && p[i] == 0;
        if (p[low] == '\n' && zeros == s->unit - 1)
            return p;
    }
    return NULL;
}

/* To UTF-8; what cannot be converted becomes U+FFFD. */
static struct str convert(struct source *s, struct arena *a, struct str in)
{
    char *from = (char *)(uintptr_t)in.p, *out = arena_alloc(a, in.n * 3 + 8), *to = out;
    size_t left = in.n, room = in.n * 3 + 4;

    iconv(s->iconv, NULL, NULL, NULL, NULL);
    while (left > 0 && iconv(s->iconv, &from, &left, &to, &room) == (size_t)-1) {
        size_t step = MIN((size_t)s->unit, left);

        if (errno == E2BIG || room < 3)
            break;
        to += utf8_encode(0xfffd, to);
        room -= 3;
        from += step;
        left -= step;
    }
    return str_n(out, (size_t)(to - out));
}

static struct str finish(struct source *s, struct arena *a, struct str text)
{
    if (s->iconv != (iconv_t)-1)
        text = convert(s, a, text);
    while (text.n && text.p[0] == 0) /* a hole */
        text = str_from(text, 1);
    if (text.n && text.p[text.n - 1] == '\r')
        text.n--;
    return text;
}

struct lines {
    struct source *s;
    struct arena *a;
    uint64_t at; /* of p */
    bool skipping, stopped;
    bool (*fn)(void *arg, const struct source_line *line);
    void *arg;
};

/* Takes whole lines out of p..end, which is `at` in the file. full: no more fits, so a line without end is too long. */
static void take_lines(struct lines *l, const char *p, const char *end, bool full)
{
    bool any = false;

    while (!l->stopped) {
        const char *nl = find_newline(l->s, p, end);
        struct source_line line;
        size_t n;

        if (!nl)
            break;
        n = (size_t)(nl - p) + l->s->unit;
        line = (struct source_line){.start = l->at, .end = l->at + n};
        if (!l->skipping) {
            line.text = finish(l->s, l->a, str_n(p, (size_t)(nl - p)));
            l->stopped = !l->fn(l->arg, &line);
        }
        l->skipping = false;
        l->at += n;
        p += n;
        any = true;
    }
    if (l->stopped)
        return;
    if (l->skipping) {
        size_t n = (size_t)(end - p) / l->s->unit * l->s->unit;

        l->at += n;
    } else if (full && !any) {
        size_t n = (size_t)(end - p) / l->s->unit * l->s->unit;
        struct source_line line = {finish(l->s, l->a, str_n(p, n)), l->at, l->at + n, true};

        l->stopped = !l->fn(l->arg, &line);
        l->skipping = true;
        l->at += n;
    }
}

/* --- plain files -------------------------------------------------------------------------------------------- */

/* Whether a \n has come behind what was seen of the unfinished line at offset. */
static bool line_has_ended(struct source *s, uint64_t offset)
{
    char b[16384];
    ssize_t n;

    if (s->seen <= offset || s->unit != 1)
        return true;
    while ((n = pread(s->fd, b, sizeof(b), (off_t)s->seen)) > 0) {
        if (memchr(b, '\n', (size_t)n) || s->seen + (size_t)n - offset >= SOURCE_LINE_MAX)
            return true;
        s->seen += (size_t)n;
    }
    return false;
}

/* Where data begins again behind a hole, if offset lies in one. */
static uint64_t behind_hole(struct source *s, uint64_t offset)
{
    off_t data = lseek(s->fd, (off_t)offset, SEEK_DATA);

    return data > (off_t)offset ? (uint64_t)data : offset;
}

static int read_plain(struct source *s, struct lines *l, size_t max, bool *end, struct err *e)
{
    size_t cap = MAX(max, (size_t)SOURCE_LINE_MAX + 4), n = 0;
    struct stat st;
    char *p;

    if (l->at == 0 && s->bom)
        l->at = s->bom;
    if (!line_has_ended(s, l->at)) {
        *end = true;
        return 0;
    }
    l->at = behind_hole(s, l->at);
    if (fstat(s->fd, &st) < 0)
        return err_sys(e, errno, "cannot read");
    *end = true;
    if ((uint64_t)st.st_size <= l->at)
        return 0;
    cap = MIN(cap, (size_t)((uint64_t)st.st_size - l->at));
    p = arena_alloc(l->a, cap);
    while (n < cap) {
        ssize_t got = pread(s->fd, p + n, MIN(cap - n, (size_t)256 << 10), (off_t)(l->at + n));

        if (got < 0)
            return err_sys(e, errno, "cannot read");
        if (got == 0)
            break;
        n += (size_t)got;
    }
    *end = l->at + n >= (uint64_t)st.st_size || n < cap;
    s->seen = l->at + n;
    take_lines(l, p, p + n, n >= SOURCE_LINE_MAX);
    if (l->at >= s->seen || l->stopped)
        s->seen = 0;
    return 0;
}

/* --- compressed files ------------------------------------------------------------------------------------------ */

/* Unpacks until the tail holds `want` bytes behind offset, or nothing more comes. */
static int fill_tail(struct source *s, uint64_t offset, size_t want, bool *dry, struct err *e)
{
    char *in = x_alloc(IN_BYTES);
    int code = 0;

    *dry = false;
    while (code == 0 && !*dry && s->tail_at + s->tail.n < offset + want) {
        ssize_t got = pread(s->fd, in, IN_BYTES, (off_t)s->in_at);
        struct str left = str_n(in, got > 0 ? (size_t)got : 0);
        size_t n;

        if (got < 0)
            code = err_sys(e, errno, "cannot read");
        *dry = got <= 0;
        s->in_at += left.n;
        do {
            char *out = buf_reserve(&s->tail, IN_BYTES * 4);

            n = 0;
            if (code == 0)
                code = inflater_run(s->inflater, &left, out, IN_BYTES * 4, &n, e);
            s->whole = inflater_at_end(s->inflater);
            s->tail.n += n;
            if (s->tail_at < offset) { /* read before */
                size_t gone = (size_t)MIN(offset - s->tail_at, (uint64_t)s->tail.n);

                memmove(s->tail.p, s->tail.p + gone, s->tail.n - gone);
                s->tail.n -= gone;
                s->tail_at += gone;
            }
        } while (code == 0 && (left.n > 0 || n == IN_BYTES * 4));
    }
    free(in);
    return code;
}

static int read_compressed(struct source *s, struct lines *l, size_t max, bool *end, bool *whole, struct err *e)
{
    size_t cap = MAX(max, (size_t)SOURCE_LINE_MAX + 4), n;
    bool dry;
    char *p;

    if (!s->inflater || s->tail_at > l->at) { /* from the front */
        inflater_free(s->inflater);
        s->inflater = inflater_new(s->kind);
        s->tail.n = 0;
        s->tail_at = s->in_at = 0;
    }
    if (fill_tail(s, l->at, cap, &dry, e) < 0)
        return e->code;
    if (s->tail_at < l->at) { /* shorter than we knew: it is another file's position */
        *end = dry;
        return 0;
    }
    assert(s->tail_at == l->at);
    n = MIN(s->tail.n, cap);
    p = arena_alloc(l->a, n + 1);
    if (n)
        memcpy(p, s->tail.p, n);
    *end = n < cap;
    take_lines(l, p, p + n, n >= SOURCE_LINE_MAX);
    n = (size_t)(l->at - s->tail_at);
    memmove(s->tail.p, s->tail.p + n, s->tail.n - n);
    s->tail.n -= n;
    s->tail_at = l->at;
    *whole = *end && s->whole && s->tail.n == 0;
    return 0;
}

int source_read(struct source *s, struct arena *a, uint64_t *offset, bool *skipping, size_t max,
                bool (*fn)(void *arg, const struct source_line *line), void *arg, bool *end, bool *whole, struct err *e)
{
    struct lines l = {.s = s, .a = a, .at = *offset, .skipping = *skipping, .fn = fn, .arg = arg};
    int code;

    *end = *whole = false;
    code = s->kind == ENC_IDENTITY ? read_plain(s, &l, max, end, e) : read_compressed(s, &l, max, end, whole, e);
    *offset = l.at;
    *skipping = l.skipping;
    if (l.stopped)
        *end = *whole = false;
    return code;
}

bool source_rest(struct source *s, struct arena *a, uint64_t offset, struct source_line *out)
{
    char *p = arena_alloc(a, SOURCE_LINE_MAX);
    ssize_t n;

    if (s->kind != ENC_IDENTITY) {
        n = (ssize_t)MIN(s->tail.n, (size_t)SOURCE_LINE_MAX);
        if (n)
            memcpy(p, s->tail.p, (size_t)n);
    } else {
        n = pread(s->fd, p, SOURCE_LINE_MAX, (off_t)offset);
    }
    if (n <= 0)
        return false;
    *out = (struct source_line){finish(s, a, str_n(p, (size_t)n)), offset, offset + (size_t)n, false};
    return true;
}
