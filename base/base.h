/*
 * base.h - front door of base/: what every other room stands on. Nothing here knows of metrics, HTTP or LMDB.
 *
 *   err.h     codes and sentences            mem.h    x_alloc, arena         buf.h     growing bytes, LE numbers, varints
 *   str.h     borrowed bytes, UTF-8          map.h    bytes -> pointer       hash.h    XXH3, CRC32C
 *   num.h     numbers and times as text      conf.h   YAML with lines        regex.h   RE2
 *   labels.h  label sets, matchers           clock.h  two clocks             log.h     log lines
 *   pool.h    threads                        json.h   JSON out               json_in.h JSON in
 *   crash.h   crash points                   quote.h  text as Go quotes it   histogram.h  native histograms (not included here)
 */
#ifndef BASE_BASE_H
#define BASE_BASE_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/conf.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/json_in.h"
#include "base/labels.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/pool.h"
#include "base/quote.h"
#include "base/regex.h"
#include "base/str.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#endif
