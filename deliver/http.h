/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST requests on an event loop, any number at a time; the only user of libcurl. Redirects are
 * not followed, answers beyond 64 KiB are cut off. Thread of the loop; nothing blocks.
 */
#ifndef VOW_DELIVER_HTTP_H
#define VOW_DELIVER_HTTP_H

#include "deliver/retry.h"
#include "lib/base/loop.h"

struct http;
struct http_call; /* one request on its way, until its function was called or it was cancelled */

struct http_request {
	const char *url; /* http or https */
	const char *const *headers; /* "name: value", ended with NULL */
	const char *body; /* must stay until the end of the call */
	size_t size;
	dur_ns timeout; /* of all of it, from the name's look-up to the last byte */
};

struct http_answer { /* good during the call */
	enum retry_class class;
	long status; /* 0: no answer */
	dur_ns retry_after; /* 0: not asked for */
	const char *error; /* for people; "" when accepted */
};
typedef void (*http_fn)(void *arg, const struct http_answer *answer);

struct http *http_new(struct loop *loop); /* NULL when memory lacks */
/* Every call must have ended or been cancelled. */
void http_free(struct http *http);

/* 0 for an address that http_post() takes; -EINVAL otherwise. */
int http_url_check(const char *url);

/* fn is called once, later, from the loop. NULL when memory lacks. */
struct http_call *http_post(struct http *http, const struct http_request *request, http_fn fn,
			    void *arg);
void http_cancel(struct http_call *call); /* fn is not called */

#endif
