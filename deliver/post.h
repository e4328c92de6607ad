/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One HTTP POST, waited for: for programs that ask a question and end. Any thread; blocks at most
 * `timeout`. Plain HTTP/1.1, no redirects, no proxy of the environment, no credentials.
 */
#ifndef VOW_DELIVER_POST_H
#define VOW_DELIVER_POST_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/diag.h"
#include "lib/base/types.h"

struct post {
	const char *url; /* "http://127.0.0.1:7413/api/v1/query" */
	const char *content_type;
	const uint8_t *body;
	size_t size;
	size_t answer_max; /* bytes; a longer answer fails */
	dur_ns timeout;
};

/*
 * Sends it and takes the body of a 2xx answer, malloc'ed. -ECONNREFUSED, -ETIMEDOUT, -EPROTO (no
 * HTTP there, another status, an answer that is too long), -EINVAL (no such url), -ENOMEM, with d
 * filled.
 */
int post_send(const struct post *post, uint8_t **answer, size_t *size, struct diag *d);

#endif
