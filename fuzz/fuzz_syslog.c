/* Syslog messages: whatever comes, every part lies in the message or in the arena, and text is never lost when nothing else was understood. */
#include "collector/logs/logs.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint64_t sink;

static void touch(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        sink += (unsigned char)s.p[i];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct syslog_message m;
    struct arena a = {0};
    char *body = malloc(size ? size : 1);

    memcpy(body, data, size);
    syslog_parse(&a, str_n(body, size), INT64_C(1700000000000000000), INT64_C(600000000000), &m);
    touch(m.host);
    touch(m.app);
    touch(m.procid);
    touch(m.msgid);
    touch(m.text);
    assert(m.nparams <= SYSLOG_PARAMS_MAX && m.severity < 8 && m.facility < 24);
    for (unsigned i = 0; i < m.nparams; i++) {
        touch(m.params[i].id);
        touch(m.params[i].name);
        touch(m.params[i].value);
    }
    if (!m.has_pri)
        assert(m.text.n == size || (size && (body[size - 1] == '\n' || body[size - 1] == '\r' || body[size - 1] == '\0')));
    arena_release(&a);
    free(body);
    return 0;
}
