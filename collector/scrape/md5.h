/* md5.h - MD5, for the hashmod action alone (whose results must agree with Prometheus' to the bit). */
#ifndef COLLECTOR_SCRAPE_MD5_H
#define COLLECTOR_SCRAPE_MD5_H

#include "base/str.h"

void md5(struct str s, uint8_t out[16]);

#endif
