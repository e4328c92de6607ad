/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/check.h"
#include "view/suggest.h"

#define ROUTES_MAX 256

struct scene {
	struct view view;
	struct view_route routes[ROUTES_MAX];
};

static void seen(struct scene *scene, const char *service, const char *method, const char *route,
		 uint64_t count)
{
	struct view_route *row = &scene->routes[scene->view.route_count++];

	scene->view.routes = scene->routes;
	row->key.kind = SERIES_HTTP;
	row->count = count;
	snprintf(row->key.service, sizeof(row->key.service), "%s", service);
	snprintf(row->key.method, sizeof(row->key.method), "%s", method);
	snprintf(row->key.route, sizeof(row->key.route), "%s", route);
}

/* "service pattern reason count routes", one a line. */
static void check_rows(const struct scene *scene, const char *expected)
{
	struct suggestions found;
	char text[4096] = "";

	CHECK_OK(suggest_routes(&scene->view, &found));
	for (size_t i = 0; i < found.count; i++) {
		const struct suggestion *s = &found.rows[i];

		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s %s %s %lu %u\n",
			 s->service, s->pattern, suggest_reason_name(s->reason), s->requests,
			 s->routes);
	}
	suggest_free(&found);
	CHECK_STR(text, expected);
}

CHECK_TEST(test_shapes_become_templates_with_all_their_requests)
{
	static struct scene scene;

	seen(&scene, "shop", "GET", "/api/suppliers/{id}", 100);
	seen(&scene, "shop", "POST", "/api/suppliers/{id}", 7);
	seen(&scene, "shop", "GET", "/api/suppliers", 9);
	seen(&scene, "other", "GET", "/img/{uuid}.jpg", 5);
	check_rows(&scene, "other /img/{file} shape 5 1\n"
			   "shop /api/suppliers/{id} shape 107 1\n");
}

CHECK_TEST(test_many_words_in_one_place_are_names)
{
	static struct scene scene;
	char route[64];

	for (int i = 0; i < SUGGEST_NAMES; i++) {
		snprintf(route, sizeof(route), "/users/%c%c/orders", 'a' + i, 'a' + i);
		seen(&scene, "shop", "GET", route, 2);
	}
	seen(&scene, "shop", "GET", "/users/{name}/orders", 50);
	for (int i = 0; i < SUGGEST_NAMES - 1; i++) {
		snprintf(route, sizeof(route), "/pages/%c%c", 'a' + i, 'a' + i);
		seen(&scene, "shop", "GET", route, 2);
	}
	check_rows(&scene, "shop /users/{name}/orders names 82 17\n");
}

CHECK_TEST(test_a_word_beside_a_placeholder_keeps_its_name)
{
	static struct scene scene;

	seen(&scene, "shop", "GET", "/users/{id}", 10);
	seen(&scene, "shop", "GET", "/users/me", 3);
	seen(&scene, "shop", "GET", "/health", 3);
	check_rows(&scene, "shop /users/me word 3 1\nshop /users/{id} shape 10 1\n");
}

CHECK_TEST(test_placeholders_of_one_place_are_one_template)
{
	static struct scene scene;

	seen(&scene, "shop", "GET", "/a/{id}", 10);
	seen(&scene, "shop", "GET", "/a/{uuid}", 3);
	check_rows(&scene, "shop /a/{id} shape 13 2\n");
}

CHECK_TEST(test_what_no_template_can_say_is_left_out)
{
	static struct scene scene;
	struct suggestions found;

	seen(&scene, "shop", "GET", "{other}", 10);
	seen(&scene, "shop", "OPTIONS", "*", 10);
	seen(&scene, "shop", "GET", "/a\"b/{id}", 1);
	seen(&scene, "shop", "GET", "/a/b*/{id}", 1);
	seen(&scene, "shop", "GET", "/a/{id}/{rest}", 1);
	seen(&scene, "shop", "GET", "/a/{id}/b?c", 1);
	check_rows(&scene, "");
	CHECK_OK(suggest_routes(&scene.view, &found));
	CHECK_EQ_U64(found.requests, 24);
	CHECK_EQ_U64(found.other, 10);
	suggest_free(&found);
}

CHECK_MAIN("suggest", test_shapes_become_templates_with_all_their_requests,
	   test_many_words_in_one_place_are_names, test_a_word_beside_a_placeholder_keeps_its_name,
	   test_placeholders_of_one_place_are_one_template,
	   test_what_no_template_can_say_is_left_out)
