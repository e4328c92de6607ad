/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Captured records and the names made of them: texts stay within their room and are clean, and a
 * service never gets more routes than its cap. Paths are separated by newlines.
 */
#include "collectors/http/http_names.h"
#include "collectors/http/http_text.h"
#include "collectors/http/route_name.h"
#include "tests/fuzz/fuzz.h"

#define ROUTES_CAP 5

struct routes {
	char names[64][SERIES_ROUTE_MAX + 1];
	unsigned count;
};

static void routes_add(struct routes *routes, const char *route)
{
	for (unsigned i = 0; i < routes->count; i++)
		if (strcmp(routes->names[i], route) == 0)
			return;
	if (routes->count < 64)
		strcpy(routes->names[routes->count++], route);
}

static void check_record(struct fuzz_input input, char path[HTTP_PATH_MAX + 1])
{
	char peer[HTTP_TEXT_PEER_MAX + 1], service[SERIES_NAME_MAX + 1];
	char trace[HTTP_TRACE_TEXT + 1], event[HTTP_EVENT_MAX + 1];
	struct http_record record = {0};

	fuzz_copy(&input, record.path, sizeof(record.path));
	fuzz_copy(&input, &record, offsetof(struct http_record, path));
	FUZZ_CHECK(http_text_path(&record, path) == strlen(path));
	FUZZ_CHECK(strlen(path) <= HTTP_PATH_MAX && !strpbrk(path, "?# \r\n"));
	fuzz_copy(&input, &record.notes, sizeof(record.notes));
	if (http_names_event(&record, event)) {
		FUZZ_CHECK(event[0] && strlen(event) <= HTTP_EVENT_MAX);
		fuzz_check_text(event, sizeof(event));
	}
	if (http_names_trace(&record, trace))
		FUZZ_CHECK(strspn(trace, "0123456789abcdef") == HTTP_TRACE_TEXT);
	http_text_peer(&record, NULL, 0, peer);
	FUZZ_CHECK(memchr(peer, '\0', sizeof(peer)));
	FUZZ_CHECK(http_text_method(record.method) && http_text_outcome(record.outcome));
	series_text_set(service, sizeof(service), record.command, sizeof(record.command));
	fuzz_check_text(service, sizeof(service));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const struct route_template templates[] = {
		{.pattern = "/api/suppliers/{id}"}, {.service = "shop", .pattern = "/static/*"}};
	struct route_names_options options = {.routes_per_service = ROUTES_CAP};
	struct fuzz_input input = {bytes, bytes + size};
	char path[HTTP_PATH_MAX + 1], route[SERIES_ROUTE_MAX + 1];
	struct routes routes = {.count = 0};

	if (fuzz_number(&input, 1) & 1) {
		options.templates = templates;
		options.template_count = 2;
	}
	struct route_names *names = route_names_new(&options);
	FUZZ_CHECK(names);
	while (fuzz_left(&input)) {
		const uint8_t *end = memchr(input.at, '\n', fuzz_left(&input));
		struct fuzz_input line = {input.at, end ? end : input.end};

		input.at = end ? end + 1 : input.end;
		check_record(line, path);
		if (path[0] != '/')
			continue; /* anything else is its own route */
		memset(route, 'x', sizeof(route));
		route_name_of(names, "shop", path, fuzz_left(&line) % 4 != 3, route);
		FUZZ_CHECK(route[0] && memchr(route, '\0', sizeof(route)));
		routes_add(&routes, route);
	}
	/* And "{other}", the root and the two templates. */
	FUZZ_CHECK(routes.count <= ROUTES_CAP + 4);
	route_names_free(names);
	return 0;
}
