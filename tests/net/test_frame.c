/* Tests of frames: what is understood however the bytes are cut, and each rule that a client can break. */
#include "net/frame.c"

#include "tests/net/frames.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const uint8_t zero_mask[4];

/* All events of in, fed in steps, as text: "t:hello;p:;c1000:bye;e1002;" */
static void run(struct str in, size_t step, struct buf *out)
{
    struct frame_reader f = {.message_bytes_max = 1000};
    const char *p = in.p, *end = in.p;
    struct str payload;
    struct err e;
    int rc = 0;

    while (rc >= 0 && end < in.p + in.n) {
        end = MIN(end + step, in.p + in.n);
        while ((rc = frame_next(&f, &p, end, &payload, &e)) > 0) {
            buf_putc(out, "?tb?????cpo"[rc]);
            if (rc == FRAME_CLOSE)
                buf_printf(out, "%d", f.close_code);
            buf_printf(out, ":%.*s;", STR_ARG(payload));
        }
        if (rc == 0)
            assert_ptr_equal(p, end);
    }
    if (rc < 0)
        buf_printf(out, "e%d;", f.close_code);
    buf_z(out);
    frame_reader_release(&f);
}

static void expect(struct buf *in, const char *want)
{
    for (size_t step = 1; step < 300; step = step * 3 + 1) {
        struct buf got = {0};

        run(buf_str(in), step, &got);
        assert_string_equal(buf_z(&got), want);
        buf_release(&got);
    }
    buf_release(in);
}

static void test_messages(void **state)
{
    char long_text[1000];
    struct buf in = {0}, want = {0};

    (void)state;
    put_client_frame(&in, 0x81, STR("hello"));
    put_client_frame(&in, 0x82, STR("\xff\xfe"));
    put_client_frame(&in, 0x81, STR(""));
    expect(&in, "t:hello;b:\xff\xfe;t:;");
    memset(long_text, 'x', sizeof long_text);
    put_client_frame(&in, 0x81, str_n(long_text, 126));
    put_client_frame(&in, 0x81, str_n(long_text, 1000));
    buf_printf(&want, "t:%.126s;t:%.1000s;", long_text, long_text);
    expect(&in, buf_z(&want));
    buf_release(&want);
}

static void test_pieces(void **state)
{
    struct buf in = {0};

    (void)state;
    put_client_frame(&in, 0x01, STR("one "));
    put_client_frame(&in, 0x89, STR("in between"));
    put_client_frame(&in, 0x00, STR("\xe2\x82"));
    put_client_frame(&in, 0x80, STR("\xac two"));
    put_client_frame(&in, 0x8a, STR(""));
    put_client_frame(&in, 0x81, STR("next"));
    put_client_frame(&in, 0x88, STR("\x03\xe8" "bye"));
    expect(&in, "p:in between;t:one \xe2\x82\xac two;o:;t:next;c1000:bye;");
    put_client_frame(&in, 0x88, STR(""));
    expect(&in, "c1005:;");
}

static void test_rules(void **state)
{
    static const struct {
        unsigned first;
        const char *payload;
        size_t n;
        const char *want;
    } cases[] = {
        {0xc1, "x", 1, "e1002;"},             /* a reserved bit */
        {0x83, "x", 1, "e1002;"},             /* kinds that are none */
        {0x8b, "x", 1, "e1002;"},
        {0x80, "x", 1, "e1002;"},             /* the end of nothing */
        {0x09, "x", 1, "e1002;"},             /* control frames in pieces */
        {0x88, "x", 1, "e1002;"},             /* half a code */
        {0x88, "\x03\xed", 2, "e1002;"},      /* 1005 */
        {0x88, "\x03\xee", 2, "e1002;"},      /* 1006 */
        {0x88, "\x00\x00", 2, "e1002;"},
        {0x88, "\x13\x88", 2, "e1002;"},      /* 5000 */
        {0x88, "\x0f\xa0", 2, "c4000:;"},
        {0x88, "\x03\xe8\xff", 3, "e1007;"},
        {0x81, "a\xc3(", 3, "e1007;"},
        {0x81, "\xed\xa0\x80", 3, "e1007;"},  /* a surrogate */
    };
    static const uint8_t mask[4];
    struct buf in = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        put_client_frame(&in, cases[i].first, str_n(cases[i].payload, cases[i].n));
        expect(&in, cases[i].want);
    }
    put_client_frame(&in, 0x01, STR("a")); /* a message inside of another */
    put_client_frame(&in, 0x81, STR("b"));
    expect(&in, "e1002;");
    put_client_head(&in, 0x81, 1, 0, NULL); /* no mask */
    expect(&in, "e1002;");
    put_client_head(&in, 0x89, 126, 2, mask); /* a long control frame */
    expect(&in, "e1002;");
    put_client_head(&in, 0x81, 125, 2, mask); /* lengths that could be shorter */
    expect(&in, "e1002;");
    put_client_head(&in, 0x81, 65535, 8, mask);
    expect(&in, "e1002;");
    put_client_head(&in, 0x81, UINT64_C(1) << 63, 8, mask);
    expect(&in, "e1002;");
}

static void test_limits(void **state)
{
    char text[1001];
    struct buf in = {0};

    (void)state;
    memset(text, 'x', sizeof text);
    put_client_frame(&in, 0x81, str_n(text, 1001));
    expect(&in, "e1009;");
    put_client_frame(&in, 0x01, str_n(text, 600));
    put_client_frame(&in, 0x80, str_n(text, 401));
    expect(&in, "e1009;");
    put_client_head(&in, 0x82, UINT64_C(1) << 62, 8, zero_mask); /* told from its head, before any of it came */
    expect(&in, "e1009;");
}

static void test_heads(void **state)
{
    uint8_t head[FRAME_HEAD_MAX];

    (void)state;
    assert_int_equal(frame_put_head(head, FRAME_TEXT, 125), 2);
    assert_memory_equal(head, "\x81\x7d", 2);
    assert_int_equal(frame_put_head(head, FRAME_PING, 0), 2);
    assert_memory_equal(head, "\x89\x00", 2);
    assert_int_equal(frame_put_head(head, FRAME_TEXT, 126), 4);
    assert_memory_equal(head, "\x81\x7e\x00\x7e", 4);
    assert_int_equal(frame_put_head(head, FRAME_TEXT, 65536), 10);
    assert_memory_equal(head, "\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_messages), cmocka_unit_test(test_pieces),
                                       cmocka_unit_test(test_rules), cmocka_unit_test(test_limits),
                                       cmocka_unit_test(test_heads)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
