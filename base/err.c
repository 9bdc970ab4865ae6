/* err.c - see err.h. Sentences are cut at the size of the struct, never allocated. */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *e, int code, const char *fmt, ...)
{
    va_list ap;

    if (!e)
        return code;
    e->code = code;
    va_start(ap, fmt);
    vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    return code;
}

int err_ctx(struct err *e, const char *fmt, ...)
{
    char old[sizeof e->text];
    va_list ap;
    size_t n;

    if (!e)
        return ERR_IO;
    memcpy(old, e->text, sizeof old);
    va_start(ap, fmt);
    vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    n = strlen(e->text);
    snprintf(e->text + n, sizeof e->text - n, ": %s", old);
    return e->code;
}

int err_sys(struct err *e, int errno_value, const char *fmt, ...)
{
    char words[256];
    va_list ap;
    size_t n;
    int code = ERR_IO;

    if (errno_value == ENOSPC || errno_value == EDQUOT)
        code = ERR_FULL;
    else if (errno_value == ENOENT)
        code = ERR_NOT_FOUND;
    if (!e)
        return code;
    e->code = code;
    va_start(ap, fmt);
    vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    n = strlen(e->text);
    snprintf(e->text + n, sizeof e->text - n, ": %s", strerror_r(errno_value, words, sizeof words));
    return code;
}

const char *err_name(int code)
{
    static const char *const names[] = {"ok",      "invalid", "not_found", "exists",   "limit",       "busy",
                                        "full",    "io",      "corrupt",   "timeout",  "canceled",    "unsupported",
                                        "unavailable", "again", "exec",    "denied"};
    unsigned i = (unsigned)-code;

    return i < sizeof names / sizeof names[0] ? names[i] : "unknown";
}
