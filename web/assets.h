/* assets.h - the embedded files: gzipped, found by path. Made by web/build.mjs. Private to web/. */
#ifndef WEB_ASSETS_H
#define WEB_ASSETS_H

#include <stddef.h>

struct web_asset {
    const char *path, *type, *etag;
    const unsigned char *gz;
    size_t gz_bytes;
};

extern const struct web_asset web_assets[];
extern const unsigned web_nassets;

#endif
