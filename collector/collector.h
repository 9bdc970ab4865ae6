/*
 * collector.h - front door of collector/: from the wire, from targets and from this host to rows.
 *
 *   push/remote_write.h   remote write 1.0 and 2.0, text push
 *   scrape/expo.h   text 0.0.4, OpenMetrics, protobuf   scrape/relabel.h      relabel rules
 *   scrape/config.h scrape_configs                      scrape/discovery.h    where targets come from
 *   scrape/scraper.h the loop                           host/host.h           node_* and container_* series
 *   files/files.h   log files, containers' logs, journald
 */
#ifndef COLLECTOR_H
#define COLLECTOR_H

#include "collector/files/files.h"
#include "collector/host/host.h"
#include "collector/logs/logs.h"
#include "collector/push/push.h"
#include "collector/scrape/config.h"
#include "collector/scrape/expo.h"
#include "collector/scrape/relabel.h"
#include "collector/scrape/scraper.h"

#endif
