/*
 * client_curl.c - libcurl, loaded when the first request is made. It brings thirty other libraries, whose start costs
 * some milliseconds and 7 MiB of memory, and an appliance that only collects its own host never asks anybody.
 *
 * The calls we use are defined here under their own names, so that the rest of the room is written against <curl/curl.h> as
 * ever; each goes on to its namesake in the library.
 *
 * (1) Only http_call_start() starts a client, and it calls curl_global_init() first: no other call comes before that.
 */
#define CURL_DISABLE_TYPECHECK
#include "net/client_opts.h"

#include <assert.h>
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* What is not a function with a variable tail: (result, name, (parameters), (arguments)). */
#define CALLS(X)                                                                                                       \
    X(CURL *, curl_easy_init, (void), ())                                                                              \
    X(void, curl_easy_cleanup, (CURL * h), (h))                                                                        \
    X(const char *, curl_easy_strerror, (CURLcode rc), (rc))                                                           \
    X(CURLM *, curl_multi_init, (void), ())                                                                            \
    X(CURLMcode, curl_multi_cleanup, (CURLM * m), (m))                                                                 \
    X(CURLMcode, curl_multi_add_handle, (CURLM * m, CURL * h), (m, h))                                                 \
    X(CURLMcode, curl_multi_remove_handle, (CURLM * m, CURL * h), (m, h))                                              \
    X(CURLMcode, curl_multi_perform, (CURLM * m, int *running), (m, running))                                          \
    X(CURLMcode, curl_multi_poll, (CURLM * m, struct curl_waitfd fds[], unsigned n, int ms, int *ready),               \
      (m, fds, n, ms, ready))                                                                                          \
    X(CURLMcode, curl_multi_wakeup, (CURLM * m), (m))                                                                  \
    X(CURLMsg *, curl_multi_info_read, (CURLM * m, int *left), (m, left))                                              \
    X(struct curl_slist *, curl_slist_append, (struct curl_slist * l, const char *s), (l, s))                          \
    X(void, curl_slist_free_all, (struct curl_slist * l), (l))                                                         \
    X(CURLU *, curl_url, (void), ())                                                                                   \
    X(void, curl_url_cleanup, (CURLU * u), (u))                                                                        \
    X(CURLUcode, curl_url_get, (CURLU * u, CURLUPart what, char **out, unsigned flags), (u, what, out, flags))        \
    X(CURLUcode, curl_url_set, (CURLU * u, CURLUPart what, const char *part, unsigned flags), (u, what, part, flags))  \
    X(void, curl_free, (void *p), (p))

static CURLcode (*global_init)(long flags);
static CURLcode (*easy_setopt)(CURL *h, CURLoption option, ...);
static CURLcode (*easy_getinfo)(CURL *h, CURLINFO info, ...);
static CURLMcode (*multi_setopt)(CURLM *m, CURLMoption option, ...);
#define X(result, name, parameters, arguments) static result(*to_##name) parameters;
CALLS(X)
#undef X

#define X(result, name, parameters, arguments)                                                                         \
    result name parameters                                                                                             \
    {                                                                                                                  \
        return to_##name arguments;                                                                                    \
    }
CALLS(X)
#undef X

/* Each of these takes one more argument: a pointer, a long or a curl_off_t, all of one size. */
_Static_assert(sizeof(void *) == sizeof(long) && sizeof(long) == sizeof(curl_off_t), "arguments are passed on as pointers");

#define WITH_TAIL(result, name, to, handle, option)                                                                    \
    result name(handle h, option o, ...)                                                                               \
    {                                                                                                                  \
        va_list tail;                                                                                                  \
        va_start(tail, o);                                                                                             \
        void *value = va_arg(tail, void *);                                                                            \
        va_end(tail);                                                                                                  \
        return to(h, o, value);                                                                                        \
    }
WITH_TAIL(CURLcode, curl_easy_setopt, easy_setopt, CURL *, CURLoption)
WITH_TAIL(CURLcode, curl_easy_getinfo, easy_getinfo, CURL *, CURLINFO)
WITH_TAIL(CURLMcode, curl_multi_setopt, multi_setopt, CURLM *, CURLMoption)

static void *find(void *lib, const char *name)
{
    void *f = lib ? dlsym(lib, name) : NULL;

    if (!f) { /* as a program linked with it would end at its start */
        fprintf(stderr, "tripod: HTTP requests need libcurl (Debian package libcurl4): %s\n", dlerror());
        abort();
    }
    return f;
}

CURLcode curl_global_init(long flags)
{
    void *lib = dlopen("libcurl.so.4", RTLD_LAZY | RTLD_LOCAL);

    *(void **)&global_init = find(lib, "curl_global_init");
    *(void **)&easy_setopt = find(lib, "curl_easy_setopt");
    *(void **)&easy_getinfo = find(lib, "curl_easy_getinfo");
    *(void **)&multi_setopt = find(lib, "curl_multi_setopt");
#define X(result, name, parameters, arguments) *(void **)&to_##name = find(lib, #name);
    CALLS(X)
#undef X
    return global_init(flags);
}
