/*
 * log.h - one line an event: subject first, values with units.
 *
 *     log_info("tsdb", "flushed %u series, %.1f MB, %lld ms", n, mb, ms);
 *
 * Lines go to stderr as logfmt (ts level subject msg) or JSON. A hook lets the process store its own lines.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/err.h"
#include "base/str.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_LOGFMT, LOG_JSON };

void log_setup(enum log_level min, enum log_format format);
bool log_level_parse(struct str s, enum log_level *out);
void log_line(enum log_level level, const char *subject, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Lines written since the start, per level. */
uint64_t log_count(enum log_level level);

#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)

#endif
