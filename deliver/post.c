/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/post.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct post_answer {
	uint8_t *bytes;
	size_t size, max;
	bool starved;
};

static size_t post_take(char *data, size_t one, size_t count, void *arg)
{
	struct post_answer *answer = arg;
	size_t more = one * count;
	uint8_t *bytes;

	if (more > answer->max - answer->size)
		return CURL_WRITEFUNC_ERROR;
	bytes = realloc(answer->bytes, answer->size + more + 1);
	if (!bytes) {
		answer->starved = true;
		return CURL_WRITEFUNC_ERROR;
	}
	memcpy(bytes + answer->size, data, more);
	answer->bytes = bytes;
	answer->size += more;
	return more;
}

static int post_failed(CURLcode code, const struct post_answer *answer, const char *url,
		       struct diag *d)
{
	if (answer->starved || code == CURLE_OUT_OF_MEMORY)
		return diag_errno(d, -ENOMEM, url, NULL, "cannot take the answer");
	switch (code) {
	case CURLE_OPERATION_TIMEDOUT:
		return diag_set(d, -ETIMEDOUT, url, NULL, "no answer in time");
	case CURLE_COULDNT_CONNECT:
	case CURLE_COULDNT_RESOLVE_HOST:
		return diag_set(d, -ECONNREFUSED, url, NULL, "%s", curl_easy_strerror(code));
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return diag_set(d, -EINVAL, url, NULL, "%s", curl_easy_strerror(code));
	default:
		return diag_set(d, -EPROTO, url, NULL, "%s", curl_easy_strerror(code));
	}
}

static CURLcode post_perform(CURL *curl, const struct post *post, struct curl_slist *headers,
			     struct post_answer *answer)
{
	curl_easy_setopt(curl, CURLOPT_URL, post->url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(post->timeout / NS_PER_MS));
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, (const char *)post->body);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)post->size);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, post_take);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
	return curl_easy_perform(curl);
}

int post_send(const struct post *post, uint8_t **answer, size_t *size, struct diag *d)
{
	struct post_answer taken = {.max = post->answer_max};
	struct curl_slist *headers;
	char type[128] = "Content-Type: ";
	long status = 0;
	CURLcode code;
	CURL *curl;
	int rc;

	strncat(type, post->content_type, sizeof(type) - strlen(type) - 1);
	headers = curl_slist_append(NULL, type);
	curl = curl_easy_init();
	code = curl && headers ? post_perform(curl, post, headers, &taken) : CURLE_OUT_OF_MEMORY;
	if (curl)
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_cleanup(curl);
	curl_slist_free_all(headers);
	if (code != CURLE_OK)
		rc = post_failed(code, &taken, post->url, d);
	else if (status < 200 || status > 299)
		rc = diag_set(d, -EPROTO, post->url, NULL, "answered with HTTP status %ld", status);
	else
		rc = taken.bytes ? 0 : diag_set(d, -EPROTO, post->url, NULL, "an empty answer");
	if (rc) {
		free(taken.bytes);
		return rc;
	}
	*answer = taken.bytes;
	*size = taken.size;
	return 0;
}
