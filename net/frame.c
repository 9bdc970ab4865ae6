/*
 * frame.c - frames of RFC 6455.
 *
 *      0                   1                   2                   3
 *     |F|RSV|  op   |M|  length 7   |  length 16 or 64, if 126 or 127  |  mask 32, if M  |  payload ...
 *
 * (1) A length meets the limit of a message before a byte of its payload is kept.
 * (2) Where the input is cut makes no difference to what is understood.
 */
#include "net/frame.h"

#include <assert.h>

enum { CODE_PROTOCOL = 1002, CODE_NONE = 1005, CODE_NOT_UTF8 = 1007, CODE_TOO_BIG = 1009 };

void frame_reader_release(struct frame_reader *f)
{
    buf_release(&f->message);
    memset(f, 0, sizeof *f);
}

static int against_rules(struct frame_reader *f, struct err *e, const char *what)
{
    f->close_code = CODE_PROTOCOL;
    return err_set(e, ERR_INVALID, "%s", what);
}

/* How long the head is, as far as its first two bytes tell. */
static unsigned head_bytes(const struct frame_reader *f)
{
    unsigned len = f->head[1] & 0x7f;

    return f->nhead < 2 ? 2 : 2 + (len == 126 ? 2u : len == 127 ? 8u : 0u) + 4;
}

/* Rules that the first two bytes alone can break. */
static int check_start(struct frame_reader *f, struct err *e)
{
    unsigned op = f->head[0] & 0x0f;
    bool final = f->head[0] & 0x80;

    if (f->head[0] & 0x70)
        return against_rules(f, e, "a reserved bit is set, and no extension was agreed on");
    if (op > FRAME_BINARY && (op < FRAME_CLOSE || op > FRAME_PONG))
        return against_rules(f, e, "a frame of an unknown kind");
    if (!(f->head[1] & 0x80))
        return against_rules(f, e, "a client's frame is not masked");
    if (op >= FRAME_CLOSE && (!final || (f->head[1] & 0x7f) > CONTROL_MAX))
        return against_rules(f, e, "a control frame is in pieces or longer than 125 bytes");
    if (op == FRAME_CONTINUATION && !f->message_op)
        return against_rules(f, e, "a message goes on that has not begun");
    if ((op == FRAME_TEXT || op == FRAME_BINARY) && f->message_op)
        return against_rules(f, e, "a message begins inside of another");
    return 0;
}

static uint64_t get_be(const uint8_t *p, unsigned n)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

/* The head is whole: its length is checked, and its payload begins. */
static int begin_payload(struct frame_reader *f, struct err *e)
{
    unsigned len = f->head[1] & 0x7f, op = f->head[0] & 0x0f;
    uint64_t n = len < 126 ? len : get_be(f->head + 2, len == 126 ? 2 : 8);

    if ((len == 126 && n < 126) || (len == 127 && (n < 65536 || n >> 63)))
        return against_rules(f, e, "a frame's length is not written in the shortest way");
    if (op < FRAME_CLOSE && n > f->message_bytes_max - f->message.n) {
        f->close_code = CODE_TOO_BIG;
        return err_set(e, ERR_LIMIT, "a message is longer than the limit of %u bytes", f->message_bytes_max);
    }
    if (op == FRAME_TEXT || op == FRAME_BINARY)
        f->message_op = (uint8_t)op;
    f->left = n;
    f->mask_at = 0;
    f->ncontrol = 0;
    f->in_payload = true;
    return 0;
}

static void take_payload(struct frame_reader *f, const char **p, const char *end)
{
    const uint8_t *mask = f->head + head_bytes(f) - 4;
    size_t n = (size_t)MIN((uint64_t)(end - *p), f->left);
    uint8_t *to;

    if ((f->head[0] & 0x0f) >= FRAME_CLOSE) {
        to = f->control + f->ncontrol;
        f->ncontrol += (unsigned)n;
        assert(f->ncontrol <= CONTROL_MAX);
    } else {
        to = (uint8_t *)buf_reserve(&f->message, n + 1);
        f->message.n += n;
    }
    for (size_t i = 0; i < n; i++)
        to[i] = (uint8_t)(*p)[i] ^ mask[(f->mask_at + i) & 3];
    f->mask_at = (f->mask_at + n) & 3;
    f->left -= n;
    *p += n;
}

static bool close_code_allowed(unsigned code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

static int end_control(struct frame_reader *f, int op, struct str *payload, struct err *e)
{
    *payload = str_n(f->control, f->ncontrol);
    if (op != FRAME_CLOSE)
        return op;
    f->close_code = CODE_NONE;
    if (f->ncontrol == 0)
        return op;
    if (f->ncontrol == 1 || !close_code_allowed((unsigned)get_be(f->control, 2)))
        return against_rules(f, e, "a closing frame's code is none that may be sent");
    *payload = str_from(*payload, 2);
    if (!utf8_valid(*payload)) {
        f->close_code = CODE_NOT_UTF8;
        return err_set(e, ERR_INVALID, "a closing frame's reason is not UTF-8");
    }
    f->close_code = (int)get_be(f->control, 2);
    return op;
}

/* The frame is whole. */
static int end_frame(struct frame_reader *f, struct str *payload, struct err *e)
{
    unsigned op = f->head[0] & 0x0f;
    bool final = f->head[0] & 0x80;
    int message_op = f->message_op;

    f->nhead = 0;
    f->in_payload = false;
    if (op >= FRAME_CLOSE)
        return end_control(f, (int)op, payload, e);
    if (!final)
        return 0;
    f->message_op = 0;
    f->message_out = true;
    *payload = f->message.n ? buf_str(&f->message) : STR("");
    if (message_op == FRAME_TEXT && !utf8_valid(*payload)) {
        f->close_code = CODE_NOT_UTF8;
        return err_set(e, ERR_INVALID, "a text message is not UTF-8");
    }
    return message_op;
}

int frame_next(struct frame_reader *f, const char **p, const char *end, struct str *payload, struct err *e)
{
    int rc = 0;

    if (f->message_out) {
        f->message_out = false;
        buf_reset(&f->message);
    }
    while (rc == 0) {
        if (f->in_payload) {
            take_payload(f, p, end);
            if (f->left)
                return 0;
            rc = end_frame(f, payload, e);
            continue;
        }
        if (*p == end)
            return 0;
        f->head[f->nhead++] = (uint8_t) * (*p)++;
        if (f->nhead == 2)
            rc = check_start(f, e);
        if (rc == 0 && f->nhead >= 2 && f->nhead == head_bytes(f))
            rc = begin_payload(f, e);
    }
    return rc;
}

size_t frame_put_head(uint8_t out[FRAME_HEAD_MAX], enum frame_op op, uint64_t payload_bytes)
{
    unsigned wide = payload_bytes < 126 ? 0 : payload_bytes < 65536 ? 2 : 8;

    out[0] = (uint8_t)(0x80 | op);
    out[1] = (uint8_t)(wide == 0 ? payload_bytes : wide == 2 ? 126 : 127);
    for (unsigned i = 0; i < wide; i++)
        out[2 + i] = (uint8_t)(payload_bytes >> 8 * (wide - 1 - i));
    return 2 + wide;
}
