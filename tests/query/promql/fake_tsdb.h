/* fake_tsdb.h - an in-memory stand-in for the selecting side of tsdb/tsdb.h, with histograms. */
#ifndef FAKE_TSDB_H
#define FAKE_TSDB_H

#include "tests/conformance/script_db.h"

/* How many parts selects shall have; 0: as many as are hinted. */
extern uint32_t fake_parts;
/* Series share times ids when their times are equal; false: every series stands alone. */
extern bool fake_share_times;
/* Selects that ask for aggregates get them. */
extern bool fake_rollups;

#endif
