/* follow.h - what collector/files asks of other rooms: the log store, and LogQL for the selectors of `match` stages. */
#ifndef CMD_FOLLOW_H
#define CMD_FOLLOW_H

#include "collector/files/files.h"

/* Static. */
const struct files_selectors *follow_selectors(void);
struct files_store follow_store(struct logstore *ls);
/* /api/v1/status/log_targets */
void follow_routes(struct http_server *s, struct files *f);

#endif
