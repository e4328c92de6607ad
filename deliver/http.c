/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl's multi interface: it says which sockets it waits for and when it wants to be called; the
 * loop does both. What it finished is collected after each call into it, since a finished request
 * may not be removed from within its callbacks.
 */
#include "deliver/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/version.h"

#define ANSWER_MAX_BYTES (64 << 10)
#define CONNECTIONS_KEPT 16L /* warm ones, over all receivers */

struct http {
	CURLM *multi;
	struct loop *loop;
	struct loop_timer *timer;
};

struct http_call {
	struct http *http;
	CURL *easy;
	struct curl_slist *headers;
	http_fn fn;
	void *arg;
	size_t received;
	char error[CURL_ERROR_SIZE];
};

/* ---- the loop and libcurl --------------------------------------------------------------------- */

static void http_collect(struct http *http);

static void socket_ready(void *arg, int fd, unsigned ready)
{
	struct http *http = arg;
	int running, events = 0;

	if (ready & LOOP_READ)
		events |= CURL_CSELECT_IN;
	if (ready & LOOP_WRITE)
		events |= CURL_CSELECT_OUT;
	if (ready & LOOP_HANGUP)
		events |= CURL_CSELECT_ERR;
	curl_multi_socket_action(http->multi, fd, events, &running);
	http_collect(http);
}

static void timer_due(void *arg)
{
	struct http *http = arg;
	int running;

	curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	http_collect(http);
}

static int socket_wanted(CURL *easy, curl_socket_t fd, int what, void *arg, void *watch_of_fd)
{
	struct http *http = arg;
	struct loop_fd *watch = watch_of_fd;
	unsigned events = 0;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		loop_fd_unwatch(watch);
		curl_multi_assign(http->multi, fd, NULL);
		return 0;
	}
	if (what & CURL_POLL_IN)
		events |= LOOP_READ;
	if (what & CURL_POLL_OUT)
		events |= LOOP_WRITE;
	if (watch) {
		loop_fd_change(watch, events);
		return 0;
	}
	watch = loop_fd_watch(http->loop, fd, events, socket_ready, http);
	if (!watch)
		return -1; /* fails what is on its way, as a lack of memory */
	curl_multi_assign(http->multi, fd, watch);
	return 0;
}

static int timer_wanted(CURLM *multi, long timeout_ms, void *arg)
{
	struct http *http = arg;

	(void)multi;
	loop_timer_stop(http->timer);
	http->timer = NULL;
	if (timeout_ms < 0)
		return 0;
	http->timer =
		loop_timer_start(http->loop, (dur_ns)timeout_ms * NS_PER_MS, 0, timer_due, http);
	return http->timer ? 0 : -1;
}

/* ---- life ------------------------------------------------------------------------------------- */

struct http *http_new(struct loop *loop)
{
	struct http *http = calloc(1, sizeof(*http));

	if (!http)
		return NULL;
	http->loop = loop;
	/* Counted by libcurl; before other threads, as its manual asks: programs make it first. */
	if (curl_global_init(CURL_GLOBAL_ALL) == CURLE_OK)
		http->multi = curl_multi_init();
	if (!http->multi) {
		free(http);
		return NULL;
	}
	curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, socket_wanted);
	curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
	curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, timer_wanted);
	curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
	curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_KEPT);
	return http;
}

void http_free(struct http *http)
{
	if (!http)
		return;
	curl_multi_cleanup(http->multi);
	loop_timer_stop(http->timer);
	curl_global_cleanup();
	free(http);
}

/* ---- calls ------------------------------------------------------------------------------------ */

int http_url_check(const char *url)
{
	CURLU *parts = curl_url();
	char *scheme = NULL;
	int rc = -EINVAL;

	if (parts && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
	    curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	    (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0))
		rc = 0;
	curl_free(scheme);
	curl_url_cleanup(parts);
	return rc;
}

static size_t answer_taken(char *bytes, size_t size, size_t count, void *arg)
{
	struct http_call *call = arg;

	(void)bytes;
	call->received += size * count;
	return call->received > ANSWER_MAX_BYTES ? 0 : size * count;
}

static void call_free(struct http_call *call)
{
	curl_slist_free_all(call->headers);
	curl_easy_cleanup(call->easy);
	free(call);
}

static int headers_set(struct http_call *call, const char *const *headers)
{
	for (; *headers; headers++) {
		struct curl_slist *longer = curl_slist_append(call->headers, *headers);

		if (!longer)
			return -ENOMEM;
		call->headers = longer;
	}
	return 0;
}

static void options_set(struct http_call *call, const struct http_request *request)
{
	CURL *easy = call->easy;

	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->size);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(request->timeout / NS_PER_MS));
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(request->timeout / NS_PER_MS));
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "vow-export/" VOW_VERSION);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, answer_taken);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->error);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
}

struct http_call *http_post(struct http *http, const struct http_request *request, http_fn fn,
			    void *arg)
{
	struct http_call *call = calloc(1, sizeof(*call));

	if (!call)
		return NULL;
	call->http = http;
	call->fn = fn;
	call->arg = arg;
	call->easy = curl_easy_init();
	if (!call->easy || headers_set(call, request->headers) ||
	    curl_easy_setopt(call->easy, CURLOPT_URL, request->url) != CURLE_OK ||
	    curl_easy_setopt(call->easy, CURLOPT_PROTOCOLS_STR, "http,https") != CURLE_OK) {
		call_free(call);
		return NULL;
	}
	options_set(call, request);
	if (curl_multi_add_handle(http->multi, call->easy) != CURLM_OK) {
		call_free(call);
		return NULL;
	}
	return call;
}

void http_cancel(struct http_call *call)
{
	curl_multi_remove_handle(call->http->multi, call->easy);
	call_free(call);
}

/* ---- what came of them ------------------------------------------------------------------------ */

static enum retry_class class_of_error(CURLcode code)
{
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return RETRY_DNS;
	case CURLE_COULDNT_CONNECT:
		return RETRY_REFUSED;
	case CURLE_OPERATION_TIMEDOUT:
		return RETRY_TIMEOUT;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
		return RETRY_TLS;
	default:
		return RETRY_BROKEN;
	}
}

/* The receiver's number may be anything; beyond the horizon all waits are alike. */
static dur_ns answer_wait(uint64_t seconds)
{
	return seconds < RETRY_HORIZON / NS_PER_S ? seconds * NS_PER_S : RETRY_HORIZON;
}

static void call_finish(struct http_call *call, CURLcode code)
{
	struct http_answer answer = {.error = ""};
	curl_off_t retry_after = 0;
	char text[64];

	curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &answer.status);
	/*
	 * Its status is known, and of its text nothing is needed. libcurl calls a header of more
	 * than 100 KB a lack of memory.
	 */
	if ((code == CURLE_WRITE_ERROR || code == CURLE_OUT_OF_MEMORY) && answer.status >= 200)
		code = CURLE_OK;
	if (code == CURLE_OK) {
		answer.class = retry_class_of(answer.status);
		curl_easy_getinfo(call->easy, CURLINFO_RETRY_AFTER, &retry_after);
		if (retry_after > 0)
			answer.retry_after = answer_wait((uint64_t)retry_after);
		snprintf(text, sizeof(text), "it answered %ld", answer.status);
		if (answer.class != RETRY_ACCEPTED)
			answer.error = text;
	} else {
		answer.class = class_of_error(code);
		answer.error = call->error[0] ? call->error : curl_easy_strerror(code);
	}
	curl_multi_remove_handle(call->http->multi, call->easy);
	call->fn(call->arg, &answer);
	call_free(call);
}

static void http_collect(struct http *http)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(http->multi, &left))) {
		struct http_call *call;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
		call_finish(call, message->data.result);
	}
}
