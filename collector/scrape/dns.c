/*
 * dns.c - one question, one answer. Answers are bytes from the network: every offset is checked, compression pointers
 * only go backwards and are followed a bounded number of times, and an answer counts only if it repeats our id and
 * question.
 */
#include "collector/scrape/dns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

enum { NAME_MAX_BYTES = 255, QUERY_MAX = 300, UDP_MAX = 65535, RCODE_OK = 0, RCODE_NXDOMAIN = 3 };

/* --- resolv.conf ------------------------------------------------------------------------------------------ */

static bool parse_server(struct str s, struct sockaddr_storage *out)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)out;
    char text[INET6_ADDRSTRLEN + 20];
    ptrdiff_t zone = str_chr(s, '%');

    s = zone >= 0 ? str_head(s, (size_t)zone) : s;
    if (s.n >= sizeof(text))
        return false;
    memcpy(text, s.p, s.n);
    text[s.n] = 0;
    memset(out, 0, sizeof(*out));
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(53);
        return true;
    }
    if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(53);
        return true;
    }
    return false;
}

static struct str next_word(struct str *line)
{
    size_t n = 0;
    struct str word;

    *line = str_trim(*line);
    while (n < line->n && line->p[n] != ' ' && line->p[n] != '\t')
        n++;
    word = str_head(*line, n);
    *line = str_from(*line, n);
    return word;
}

static void read_line(struct arena *a, struct str line, struct dns_env *env)
{
    struct str key = next_word(&line), word = next_word(&line);
    uint64_t n;

    if (str_eqz(key, "nameserver") && env->nservers < DNS_SERVERS_MAX) {
        env->nservers += parse_server(word, &env->servers[env->nservers]);
    } else if (str_eqz(key, "search") || str_eqz(key, "domain")) {
        for (env->nsearch = 0; word.n && env->nsearch < DNS_SEARCH_MAX; word = next_word(&line))
            env->search[env->nsearch++] = arena_dup(a, word);
    } else if (str_eqz(key, "options")) {
        for (; word.n; word = next_word(&line)) {
            if (str_starts(word, STR("ndots:")) && str_to_u64(str_from(word, 6), &n))
                env->ndots = (unsigned)MIN(n, (uint64_t)15);
            if (str_starts(word, STR("timeout:")) && str_to_u64(str_from(word, 8), &n) && n > 0)
                env->timeout_ms = (int64_t)MIN(n, (uint64_t)30) * 1000;
        }
    }
}

void dns_env_read(struct arena *a, const char *path, struct dns_env *out)
{
    FILE *f = fopen(path, "r");
    char line[1024];

    *out = (struct dns_env){.ndots = 1, .timeout_ms = 5000};
    while (f && fgets(line, sizeof(line), f)) {
        if (line[0] != '#' && line[0] != ';')
            read_line(a, str_trim(str_of(line)), out);
    }
    if (f)
        fclose(f);
    if (!out->nservers)
        out->nservers += parse_server(STR("127.0.0.1"), &out->servers[0]);
}

/* --- messages ---------------------------------------------------------------------------------------------- */

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

/* The question for name (with or without trailing dot). 0 when the name cannot be asked for. */
static size_t make_query(struct str name, enum dns_type type, uint16_t id, uint8_t out[QUERY_MAX])
{
    size_t n = 12;
    struct str label;

    memset(out, 0, 12);
    out[0] = (uint8_t)(id >> 8);
    out[1] = (uint8_t)id;
    out[2] = 1; /* recursion desired */
    out[5] = 1; /* one question */
    if (name.n && name.p[name.n - 1] == '.')
        name.n--;
    if (name.n == 0 || name.n > NAME_MAX_BYTES - 2)
        return 0;
    while (name.n) {
        str_cut(&name, '.', &label);
        if (label.n == 0 || label.n > 63)
            return 0;
        out[n++] = (uint8_t)label.n;
        memcpy(out + n, label.p, label.n);
        n += label.n;
    }
    out[n++] = 0;
    out[n++] = (uint8_t)((unsigned)type >> 8);
    out[n++] = (uint8_t)type;
    out[n++] = 0;
    out[n++] = 1; /* IN */
    return n;
}

/* Reads a name at *at as text with trailing dot; *at is moved behind it. text may be NULL. */
static bool read_name(const uint8_t *m, size_t n, size_t *at, struct buf *text)
{
    size_t p = *at, bytes = 0;
    bool jumped = false;

    for (int parts = 0; parts < 130; parts++) {
        if (p >= n)
            return false;
        uint8_t len = m[p];
        if ((len & 0xc0) == 0xc0) {
            size_t to;

            if (p + 2 > n)
                return false;
            to = (size_t)(len & 0x3f) << 8 | m[p + 1];
            if (!jumped)
                *at = p + 2;
            jumped = true;
            if (to >= p)
                return false;
            p = to;
            continue;
        }
        if (len & 0xc0 || p + 1 + len > n || (bytes += len + 1u) > NAME_MAX_BYTES)
            return false;
        if (len == 0) {
            if (!jumped)
                *at = p + 1;
            if (text && text->n == 0)
                buf_putc(text, '.');
            return true;
        }
        if (text) {
            buf_put(text, m + p + 1, len);
            buf_putc(text, '.');
        }
        p += 1u + len;
    }
    return false;
}

static bool read_data(const uint8_t *m, size_t n, size_t at, size_t len, enum dns_type type, struct buf *text,
                      uint16_t *port)
{
    char ip[INET6_ADDRSTRLEN];

    switch (type) {
    case DNS_A:
        if (len != 4)
            return false;
        buf_putz(text, inet_ntop(AF_INET, m + at, ip, sizeof(ip)));
        return true;
    case DNS_AAAA:
        if (len != 16)
            return false;
        buf_putz(text, inet_ntop(AF_INET6, m + at, ip, sizeof(ip)));
        return true;
    case DNS_SRV:
        if (len < 7)
            return false;
        *port = get16(m + at + 4);
        at += 6;
        break;
    case DNS_MX:
        if (len < 3)
            return false;
        at += 2;
        break;
    case DNS_NS:
        break;
    }
    return read_name(m, n, &at, text);
}

/* The records of an answer to our question. */
static int read_answer(const uint8_t *m, size_t n, enum dns_type type, struct arena *a, struct dns_record **out,
                       uint32_t *count)
{
    unsigned nanswers = get16(m + 6);
    struct buf text = {0};
    size_t at = 12;
    int code = ERR_INVALID;

    *count = 0;
    *out = arena_array(a, struct dns_record, MIN(nanswers, n / 11) + 1); /* a record takes 11 bytes and more */
    if (!read_name(m, n, &at, NULL) || at + 4 > n)
        goto out;
    at += 4;
    for (unsigned i = 0; i < nanswers; i++) {
        struct dns_record *r = &(*out)[*count];
        uint16_t rtype, len;

        if (!read_name(m, n, &at, NULL) || at + 10 > n)
            goto out;
        rtype = get16(m + at);
        len = get16(m + at + 8);
        at += 10;
        if (at + len > n)
            goto out;
        if (rtype == type) { /* a CNAME on the way is none of ours */
            buf_reset(&text);
            if (!read_data(m, n, at, len, type, &text, &r->port))
                goto out;
            r->target = arena_dup(a, buf_str(&text));
            ++*count;
        }
        at += len;
    }
    code = 0;
out:
    buf_release(&text);
    return code;
}

/* --- wire ------------------------------------------------------------------------------------------------------ */

/* Waits for events in slices, so that stop is seen. 1 ready, 0 the time is over, <0 given up. */
static int wait_for(int fd, short events, int64_t until_ms, const _Atomic bool *stop)
{
    for (;;) {
        int64_t left = until_ms - clock_mono_ms();
        struct pollfd p = {.fd = fd, .events = events};
        int got;

        if (atomic_load(stop))
            return ERR_CANCELED;
        if (left <= 0)
            return 0;
        got = poll(&p, 1, (int)MIN(left, (int64_t)100));
        if (got > 0)
            return 1;
        if (got < 0 && errno != EINTR)
            return 0;
    }
}

static int connect_to(const struct sockaddr_storage *server, int type, int64_t until, const _Atomic bool *stop)
{
    int fd = socket(server->ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), soerr = 0;
    socklen_t len = server->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6),
              n = sizeof(soerr);

    if (fd < 0)
        return ERR_IO;
    if (connect(fd, (const struct sockaddr *)server, len) == 0)
        return fd;
    if (errno == EINPROGRESS && wait_for(fd, POLLOUT, until, stop) > 0 &&
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &soerr, &n) == 0 && soerr == 0)
        return fd;
    close(fd);
    return ERR_IO;
}

/* Ours: the id, the answer bit, and the question as sent. */
static bool is_ours(const uint8_t *m, size_t n, const uint8_t *q, size_t nq)
{
    return n >= nq && m[0] == q[0] && m[1] == q[1] && m[2] & 0x80 && get16(m + 4) == 1 &&
           memcmp(m + 12, q + 12, nq - 12) == 0;
}

static int ask_udp(const struct dns_env *env, const struct sockaddr_storage *server, const uint8_t *q, size_t nq,
                   uint8_t *m, size_t *n, const _Atomic bool *stop)
{
    int64_t until = clock_mono_ms() + env->timeout_ms;
    int fd = connect_to(server, SOCK_DGRAM, until, stop), code = ERR_IO, ready;

    if (fd < 0)
        return fd;
    if (send(fd, q, nq, 0) == (ssize_t)nq) {
        code = ERR_TIMEOUT;
        while ((ready = wait_for(fd, POLLIN, until, stop)) > 0) {
            ssize_t got = recv(fd, m, UDP_MAX, 0);

            if (got < 0 && errno != EAGAIN && errno != EINTR) {
                code = ERR_IO;
                break;
            }
            if (got >= 12 && is_ours(m, (size_t)got, q, nq)) {
                *n = (size_t)got;
                code = 0;
                break;
            }
        }
        if (ready < 0)
            code = ready;
    }
    close(fd);
    return code;
}

static int move_all(int fd, uint8_t *p, size_t n, bool out, int64_t until, const _Atomic bool *stop)
{
    while (n) {
        int ready = wait_for(fd, out ? POLLOUT : POLLIN, until, stop);
        ssize_t moved;

        if (ready <= 0)
            return ready < 0 ? ready : ERR_TIMEOUT;
        moved = out ? send(fd, p, n, MSG_NOSIGNAL) : recv(fd, p, n, 0);
        if (moved == 0 || (moved < 0 && errno != EAGAIN && errno != EINTR))
            return ERR_IO;
        if (moved > 0) {
            p += moved;
            n -= (size_t)moved;
        }
    }
    return 0;
}

static int ask_tcp(const struct dns_env *env, const struct sockaddr_storage *server, const uint8_t *q, size_t nq,
                   uint8_t *m, size_t *n, const _Atomic bool *stop)
{
    int64_t until = clock_mono_ms() + env->timeout_ms;
    int fd = connect_to(server, SOCK_STREAM, until, stop), code;
    uint8_t framed[QUERY_MAX + 2], len[2];

    if (fd < 0)
        return fd;
    framed[0] = (uint8_t)(nq >> 8);
    framed[1] = (uint8_t)nq;
    memcpy(framed + 2, q, nq);
    code = move_all(fd, framed, nq + 2, true, until, stop);
    if (code == 0)
        code = move_all(fd, len, 2, false, until, stop);
    if (code == 0)
        code = move_all(fd, m, *n = get16(len), false, until, stop);
    if (code == 0 && (*n < 12 || !is_ours(m, *n, q, nq)))
        code = ERR_INVALID;
    close(fd);
    return code;
}

/* --- looking up -------------------------------------------------------------------------------------------------- */

/* 0: a valid answer, perhaps an empty one. */
static int ask_server(const struct dns_env *env, const struct sockaddr_storage *server, struct str name,
                      enum dns_type type, const _Atomic bool *stop, struct arena *a, struct dns_record **out,
                      uint32_t *n)
{
    uint8_t q[QUERY_MAX], *m = x_alloc(UDP_MAX);
    uint16_t id = 0;
    size_t nq, nm = 0;
    int code = ERR_INVALID;

    if (getrandom(&id, sizeof(id), 0) != sizeof(id))
        id = (uint16_t)clock_mono_ns();
    nq = make_query(name, type, id, q);
    if (nq)
        code = ask_udp(env, server, q, nq, m, &nm, stop);
    if (code == 0 && m[2] & 2) /* truncated */
        code = ask_tcp(env, server, q, nq, m, &nm, stop);
    *n = 0;
    if (code == 0 && (m[3] & 15) == RCODE_OK)
        code = read_answer(m, nm, type, a, out, n);
    else if (code == 0 && (m[3] & 15) != RCODE_NXDOMAIN)
        code = ERR_UNAVAILABLE;
    free(m);
    return code;
}

/* All names to try, in order. */
static uint32_t candidates(const struct dns_env *env, struct str name, struct arena *a,
                           struct str out[DNS_SEARCH_MAX + 1])
{
    unsigned dots = 0;
    uint32_t n = 0;

    if (name.n && name.p[name.n - 1] == '.') {
        out[0] = name;
        return 1;
    }
    for (size_t i = 0; i < name.n; i++)
        dots += name.p[i] == '.';
    if (dots >= env->ndots)
        out[n++] = name;
    for (uint32_t i = 0; i < env->nsearch; i++)
        out[n++] = arena_printf(a, "%.*s.%.*s", STR_ARG(name), STR_ARG(env->search[i]));
    if (dots < env->ndots)
        out[n++] = name;
    return n;
}

int dns_lookup(const struct dns_env *env, struct str name, enum dns_type type, const _Atomic bool *stop,
               struct arena *a, struct dns_record **out, uint32_t *n, struct err *e)
{
    struct str names[DNS_SEARCH_MAX + 1];
    uint32_t nnames = candidates(env, name, a, names);
    bool all_valid = true;

    *n = 0;
    for (uint32_t i = 0; i < nnames; i++) {
        bool valid = false;

        for (uint32_t s = 0; s < env->nservers && !valid; s++) {
            int code = ask_server(env, &env->servers[s], names[i], type, stop, a, out, n);

            if (code == ERR_CANCELED)
                return err_set(e, code, "given up");
            valid = code == 0;
        }
        if (valid && *n)
            return 0;
        all_valid &= valid;
    }
    if (all_valid)
        return 0;
    return err_set(e, ERR_IO,
                   "could not resolve \"%.*s\": all servers responded with errors to at least one search domain",
                   STR_ARG(str_head(name, 200)));
}
