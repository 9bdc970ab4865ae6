/*
 * head.c - see head.h.
 *
 * (1) Lines end in CRLF; a bare LF or CR, a NUL or any other control byte but TAB refuses the request.
 * (2) At most one of Content-Length and Transfer-Encoding, each at most once, the length only digits.
 * (3) No blank before a header's colon, no line folded into the next.
 */
#include "net/head.h"

/* RFC 9110 token characters. */
static bool is_token(unsigned char c)
{
    static const char others[] = "!#$%&'*+-.^_`|~";

    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
           (c && memchr(others, c, sizeof others - 1));
}

int head_find_end(struct str in, size_t *scan, size_t *end, struct err *e)
{
    while (*scan < in.n) {
        const char *lf = memchr(in.p + *scan, '\n', in.n - *scan);
        size_t at;

        if (!lf) {
            *scan = in.n;
            return 0;
        }
        at = (size_t)(lf - in.p);
        if (at == 0 || in.p[at - 1] != '\r')
            return err_set(e, ERR_INVALID, "a line of the request head ends in LF without CR");
        *scan = at + 1;
        if (at >= 3 && in.p[at - 2] == '\n') {
            *end = at + 1;
            return 1;
        }
    }
    return 0;
}

static enum http_method method_of(struct str s)
{
    static const struct {
        struct str name;
        enum http_method m;
    } names[] = {{STR("GET"), HTTP_GET},    {STR("POST"), HTTP_POST},       {STR("HEAD"), HTTP_HEAD},
                 {STR("PUT"), HTTP_PUT},    {STR("OPTIONS"), HTTP_OPTIONS}, {STR("DELETE"), HTTP_DELETE},
                 {STR("PATCH"), HTTP_PATCH}};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(s, names[i].name))
            return names[i].m;
    return (enum http_method)0;
}

static int refuse(struct err *e, int status, const char *text)
{
    err_set(e, ERR_INVALID, "%s", text);
    return status;
}

/* "http://host/path" as proxies send it: what follows the host. */
static struct str without_origin(struct str target)
{
    static const struct str schemes[] = {STR("http://"), STR("https://")};

    for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
        if (target.n > schemes[i].n && str_eq_nocase(str_head(target, schemes[i].n), schemes[i])) {
            struct str rest = str_from(target, schemes[i].n);
            ptrdiff_t slash = str_chr(rest, '/');
            return slash < 0 ? STR("/") : str_from(rest, (size_t)slash);
        }
    return target;
}

static int parse_request_line(struct str line, struct head *h, struct err *e)
{
    struct str target, version = line;
    ptrdiff_t q;

    str_cut(&version, ' ', &h->method_text);
    str_cut(&version, ' ', &target);
    if (h->method_text.n == 0 || h->method_text.n > 32)
        return refuse(e, 400, "the request line has no method");
    for (size_t i = 0; i < h->method_text.n; i++)
        if (!is_token((unsigned char)h->method_text.p[i]))
            return refuse(e, 400, "the method is not a token");
    if (!str_starts(version, STR("HTTP/")) || version.n != 8 || version.p[6] != '.')
        return refuse(e, 400, "the request line does not end in an HTTP version");
    if (version.p[5] != '1' || version.p[7] < '0' || version.p[7] > '9')
        return refuse(e, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
    h->minor = version.p[7] == '0' ? 0 : 1;
    for (size_t i = 0; i < target.n; i++)
        if ((unsigned char)target.p[i] <= ' ' || target.p[i] == 0x7f)
            return refuse(e, 400, "the request target holds a control byte");
    h->method = method_of(h->method_text);
    h->path = without_origin(target);
    if (h->method == HTTP_OPTIONS && str_eqz(h->path, "*"))
        return 0;
    if (h->path.n == 0 || h->path.p[0] != '/')
        return refuse(e, 400, "the request target does not begin with a slash");
    q = str_chr(h->path, '#');
    if (q >= 0)
        h->path = str_head(h->path, (size_t)q);
    q = str_chr(h->path, '?');
    if (q >= 0) {
        h->query = str_from(h->path, (size_t)q + 1);
        h->path = str_head(h->path, (size_t)q);
    }
    return 0;
}

bool header_lists(struct str value, const char *token)
{
    struct str one, name, param;

    while (value.n) {
        str_cut(&value, ',', &one);
        str_cut(&one, ';', &name);
        if (!str_eq_nocase(str_trim(name), str_of(token)))
            continue;
        param = str_trim(one);
        return !(str_starts(param, STR("q=0")) &&
                 (param.n == 3 || (param.p[3] == '.' && strspn(param.p + 4, "0") >= param.n - 4)));
    }
    return false;
}

static int content_length(struct head *h, struct str v, struct err *e)
{
    if (h->has_length)
        return refuse(e, 400, "Content-Length stands twice");
    for (size_t i = 0; i < v.n; i++)
        if (v.p[i] < '0' || v.p[i] > '9')
            return refuse(e, 400, "Content-Length is not a number");
    if (v.n > 18 || !str_to_u64(v, &h->length))
        return refuse(e, 400, "Content-Length is not a number that can be");
    h->has_length = true;
    return 0;
}

static int transfer_encoding(struct head *h, struct str v, struct err *e)
{
    if (h->chunked)
        return refuse(e, 400, "Transfer-Encoding stands twice");
    if (!str_eq_nocase(v, STR("chunked")))
        return refuse(e, 501, "the only Transfer-Encoding understood is chunked");
    h->chunked = true;
    return 0;
}

/* Headers that the server itself obeys. */
static int note_header(struct head *h, struct str n, struct str v, unsigned *hosts, struct err *e)
{
    switch (n.n) {
    case 4:
        if (str_eq_nocase(n, STR("host")))
            ++*hosts;
        break;
    case 6:
        if (str_eq_nocase(n, STR("origin")))
            h->origin = v;
        else if (str_eq_nocase(n, STR("expect"))) {
            if (!str_eq_nocase(v, STR("100-continue")))
                return refuse(e, 417, "the only expectation understood is 100-continue");
            h->expect_continue = h->minor > 0;
        }
        break;
    case 10:
        if (str_eq_nocase(n, STR("connection"))) {
            if (header_lists(v, "close"))
                h->keep_alive = false;
            else if (h->minor == 0 && header_lists(v, "keep-alive"))
                h->keep_alive = true;
        }
        break;
    case 12:
        if (str_eq_nocase(n, STR("content-type")))
            h->content_type = v;
        break;
    case 14:
        if (str_eq_nocase(n, STR("content-length")))
            return content_length(h, v, e);
        break;
    case 15:
        if (str_eq_nocase(n, STR("accept-encoding")))
            h->accept_gzip = header_lists(v, "gzip");
        break;
    case 16:
        if (str_eq_nocase(n, STR("content-encoding")))
            h->content_encoding = v;
        break;
    case 17:
        if (str_eq_nocase(n, STR("transfer-encoding")))
            return transfer_encoding(h, v, e);
        break;
    default:
        break;
    }
    return 0;
}

static int parse_header(struct str line, struct http_header *out, struct err *e)
{
    ptrdiff_t colon = str_chr(line, ':');

    if (line.p[0] == ' ' || line.p[0] == '\t')
        return refuse(e, 400, "a header is folded over several lines");
    if (colon <= 0)
        return refuse(e, 400, "a header line has no name");
    for (ptrdiff_t i = 0; i < colon; i++)
        if (!is_token((unsigned char)line.p[i]))
            return refuse(e, 400, "a header name holds a byte that may not be in it");
    for (size_t i = (size_t)colon + 1; i < line.n; i++)
        if (((unsigned char)line.p[i] < ' ' && line.p[i] != '\t') || line.p[i] == 0x7f)
            return refuse(e, 400, "a header value holds a control byte");
    out->name = str_head(line, (size_t)colon);
    out->value = str_trim(str_from(line, (size_t)colon + 1));
    return 0;
}

/* The next line without its CRLF; head_find_end has seen that each ends so. */
static struct str next_line(struct str *text)
{
    struct str line;

    str_cut(text, '\n', &line);
    return str_head(line, line.n - 1);
}

int head_parse(struct str text, struct http_header *headers, struct head *out, struct err *e)
{
    unsigned hosts = 0;
    struct str line = next_line(&text);
    int status;

    *out = (struct head){.headers = headers};
    if (memchr(line.p, '\0', line.n))
        return refuse(e, 400, "the request line holds a NUL");
    status = parse_request_line(line, out, e);
    if (status)
        return status;
    out->keep_alive = out->minor > 0;
    while ((line = next_line(&text)).n > 0) {
        struct http_header *h = &headers[out->nheaders];

        if (out->nheaders == HEADERS_MAX)
            return refuse(e, 431, "the request has more than 128 headers");
        status = parse_header(line, h, e);
        if (status == 0)
            status = note_header(out, h->name, h->value, &hosts, e);
        if (status)
            return status;
        out->nheaders++;
    }
    if (out->chunked && (out->has_length || out->minor == 0))
        return refuse(e, 400, "Transfer-Encoding together with Content-Length, or in HTTP/1.0");
    if (hosts > 1 || (hosts == 0 && out->minor > 0))
        return refuse(e, 400, "the request needs exactly one Host header");
    return 0;
}

/* --- chunked bodies: size [;extension] CRLF data CRLF ... 0 CRLF trailers CRLF -------------------- */

enum {
    CS_SIZE,
    CS_EXT,
    CS_SIZE_LF,
    CS_DATA,
    CS_DATA_CR,
    CS_DATA_LF,
    CS_TRAILER,
    CS_TRAILER_LINE,
    CS_TRAILER_LF,
    CS_LAST_LF
};
enum { CHUNK_LINE_MAX = 256, TRAILER_MAX = 8192 };

static int chunk_error(struct err *e, const char *what)
{
    return err_set(e, ERR_INVALID, "chunked body: %s", what);
}

static int size_digit(struct chunked *c, char ch, struct err *e)
{
    unsigned v = (unsigned char)ch, d = v - '0';

    if (d > 9) {
        d = (v | 0x20) - 'a';
        d = d < 6 ? d + 10 : 99;
    }
    if (d < 16) {
        if (++c->digits > 15)
            return chunk_error(e, "a chunk size has more than 15 digits");
        c->left = c->left << 4 | d;
        return 0;
    }
    if (c->digits == 0)
        return chunk_error(e, "a chunk does not begin with its size");
    if (ch == '\r')
        c->state = CS_SIZE_LF;
    else if (ch == ';' || ch == ' ' || ch == '\t')
        c->state = CS_EXT;
    else
        return chunk_error(e, "a chunk size holds a byte that is no hex digit");
    return 0;
}

/* One byte of framing. */
static int chunk_byte(struct chunked *c, char ch, struct err *e)
{
    switch (c->state) {
    case CS_SIZE:
        return size_digit(c, ch, e);
    case CS_EXT:
        if (++c->line_bytes > CHUNK_LINE_MAX)
            return chunk_error(e, "a chunk extension is longer than 256 bytes");
        if (ch == '\n' || ch == '\0')
            return chunk_error(e, "a chunk extension holds a control byte");
        if (ch == '\r')
            c->state = CS_SIZE_LF;
        return 0;
    case CS_DATA_CR:
        if (ch != '\r')
            return chunk_error(e, "a chunk is longer than its size says");
        c->state = CS_DATA_LF;
        return 0;
    case CS_TRAILER:
    case CS_TRAILER_LINE:
        if (++c->line_bytes > TRAILER_MAX)
            return chunk_error(e, "the trailers are longer than 8192 bytes");
        if (ch == '\n' || ch == '\0')
            return chunk_error(e, "a trailer holds a control byte");
        if (ch == '\r')
            c->state = c->state == CS_TRAILER ? CS_LAST_LF : CS_TRAILER_LF;
        else
            c->state = CS_TRAILER_LINE;
        return 0;
    default: /* the states that want LF */
        if (ch != '\n')
            return chunk_error(e, "a line ends in CR without LF");
        if (c->state == CS_SIZE_LF) {
            c->state = c->left ? CS_DATA : CS_TRAILER;
            c->line_bytes = 0;
        } else if (c->state == CS_DATA_LF) {
            c->state = CS_SIZE;
            c->digits = 0;
            c->line_bytes = 0;
        } else {
            c->state = CS_TRAILER;
        }
        return 0;
    }
}

int chunked_next(struct chunked *c, const char **p, const char *end, struct str *data, struct err *e)
{
    while (*p < end) {
        if (c->state == CS_DATA) {
            size_t n = MIN((size_t)(end - *p), c->left);

            *data = str_n(*p, n);
            *p += n;
            c->left -= n;
            if (c->left == 0)
                c->state = CS_DATA_CR;
            return CHUNK_DATA;
        }
        if (c->state == CS_LAST_LF && **p == '\n') {
            ++*p;
            return CHUNK_END;
        }
        if (chunk_byte(c, *(*p)++, e) < 0)
            return ERR_INVALID;
    }
    return CHUNK_MORE;
}
