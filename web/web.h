/* web.h - front door of web/: the pages, embedded in the binary and served with strict headers. */
#ifndef WEB_WEB_H
#define WEB_WEB_H

struct http_server;

/* GET / and everything below it that is a page or an asset. Unknown paths stay 404. */
void web_routes(struct http_server *s);

#endif
