/* nhcb.h - private to scrape/: classic histograms of a body, put together as native ones with custom buckets. */
#ifndef COLLECTOR_SCRAPE_NHCB_H
#define COLLECTOR_SCRAPE_NHCB_H

#include "base/histogram.h"
#include "collector/scrape/expo.h"

/* Zero-initialised with an arena is empty. */
struct nhcb {
    struct arena *a;
    struct str family; /* whose series are gathered: the last TYPE said histogram. n 0: none */
    struct nhcb_group **groups;
    uint32_t n, cap, given;
    struct map by_labels;
};

/* A TYPE entry: what was gathered is given out before, see nhcb_next. */
void nhcb_family(struct nhcb *n, const struct expo_entry *type);
/* A SERIES entry. 1: it is part of a histogram; 0: it is not; ERR_INVALID: its labels can not be read. */
int nhcb_take(struct nhcb *n, struct expo *x, const struct expo_entry *en, struct err *e);
/*
 * The next histogram of the family, in order of appearance, as an entry of its own (from the arena); those whose counts
 * contradict each other are left out. False: there are no more, and the family is over.
 */
bool nhcb_next(struct nhcb *n, struct expo_entry *en, struct histogram *h);
void nhcb_release(struct nhcb *n);

#endif
