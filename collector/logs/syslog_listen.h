/* syslog_listen.h - a section of `syslog:` as read. Private to collector/logs. */
#ifndef COLLECTOR_LOGS_SYSLOG_LISTEN_H
#define COLLECTOR_LOGS_SYSLOG_LISTEN_H

#include "collector/logs/logs.h"
#include "collector/scrape/relabel.h"

struct syslog_config {
    struct str udp, tcp; /* addresses; empty: none */
    struct labels labels;
    struct relabel relabel;
    bool relabelled;           /* labels are what the rules make of __syslog_*, and nothing else */
    bool incoming_time;        /* take the message's own time */
    bool structured_labels;    /* offer __syslog_message_sd_* to the rules */
    bool whole;                /* the line is the message as it came */
    uint64_t message_bytes;    /* longer ones are cut */
    int64_t idle_ms;
    struct str text;           /* the section printed, to tell whether it has changed */
};

#endif
