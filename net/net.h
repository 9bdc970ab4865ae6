/*
 * net.h - front door of net/: HTTP in and out. Only this room knows libevent, OpenSSL and libcurl.
 *
 *   server.h   listeners, routes, requests, replies     client.h   requests to others
 *   codec.h    gzip, zstd, snappy with bounded output   form.h     URLs, query strings, forms
 *   wire.h     protobuf fields                    listener.h raw TCP and UDP
 */
#ifndef NET_NET_H
#define NET_NET_H

#include "net/client.h"
#include "net/codec.h"
#include "net/form.h"
#include "net/listener.h"
#include "net/server.h"

#endif
