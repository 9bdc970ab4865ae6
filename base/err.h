/*
 * err.h - a code for the program, a sentence for the person.
 *
 * Functions that can fail return 0 or a negative ERR_* and take a struct err *, in which the sentence
 * travels; each layer may add in front what it knows (err_ctx). Whoever handles the error logs it, once.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

enum err_code {
    ERR_INVALID = -1,      /* the peer's or the user's mistake: names the place in their input */
    ERR_NOT_FOUND = -2,    /* no such thing */
    ERR_EXISTS = -3,       /* it is there already, or the same time with another value */
    ERR_LIMIT = -4,        /* a limit was met: names the limit and the value */
    ERR_BUSY = -5,         /* overloaded now: try again later */
    ERR_FULL = -6,         /* no space on the disk, or above disk.max */
    ERR_IO = -7,           /* the disk or the network failed */
    ERR_CORRUPT = -8,      /* stored bytes are not what was written */
    ERR_TIMEOUT = -9,      /* a deadline passed */
    ERR_CANCELED = -10,    /* nobody waits for the answer any more */
    ERR_UNSUPPORTED = -11, /* well-formed, but not something we do */
    ERR_UNAVAILABLE = -12, /* not ready, or switched off */
    ERR_AGAIN = -13,       /* the ground moved: repeat the call (internal, never reaches a peer) */
    ERR_EXEC = -14,        /* a query was well-formed and failed while running */
    ERR_DENIED = -15,      /* not allowed */
};

struct err {
    int code;
    char text[1024];
};

/* Sets code and sentence; returns code. e may be NULL: then only the code comes back. */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "WORDS: " before the sentence and returns the code that e holds (ERR_IO if e is NULL). */
int err_ctx(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Like err_set, and appends ": " and the text of errno_value. ENOSPC and EDQUOT become ERR_FULL, ENOENT ERR_NOT_FOUND. */
int err_sys(struct err *e, int errno_value, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The short name of a code for logs and metrics: "invalid", "not_found", ... Static. */
const char *err_name(int code);

#endif
