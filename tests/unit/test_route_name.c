/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "collectors/http/route_name.h"
#include "tests/unit/check.h"

static const struct route_template templates[] = {
	{"", "/api/suppliers/{supplier}"},
	{"shop", "/api/orders/{order}/lines"},
	{"", "/static/*"},
};

static struct route_names *names_with(unsigned cap)
{
	struct route_names_options options = {
		.templates = templates,
		.template_count = sizeof(templates) / sizeof(templates[0]),
		.routes_per_service = cap,
	};
	struct route_names *names = route_names_new(&options);

	CHECK(names);
	return names;
}

static const char *route_of(struct route_names *names, const char *service, const char *path)
{
	static char route[SERIES_ROUTE_MAX + 1];

	route_name_of(names, service, path, true, route);
	return route;
}

CHECK_TEST(test_templates_come_first)
{
	struct route_names *names = names_with(0);

	CHECK_STR(route_of(names, "a", "/api/suppliers/smith"), "/api/suppliers/{supplier}");
	CHECK_STR(route_of(names, "a", "/api/suppliers/42"), "/api/suppliers/{supplier}");
	CHECK_STR(route_of(names, "a", "/api/suppliers/"), "/api/suppliers/");
	CHECK_STR(route_of(names, "a", "/api/suppliers/42/"), "/api/suppliers/{id}/");
	CHECK_STR(route_of(names, "shop", "/api/orders/x/lines"), "/api/orders/{order}/lines");
	CHECK_STR(route_of(names, "a", "/api/orders/x/lines"), "/api/orders/x/lines");
	CHECK_STR(route_of(names, "a", "/static/js/app.js"), "/static/*");
	CHECK_STR(route_of(names, "a", "/static"), "/static");
	route_names_free(names);
}

CHECK_TEST(test_numbers_and_ids_are_one_route)
{
	static const struct {
		const char *path, *route;
	} cases[] = {
		{"/", "/"},
		{"/users/17", "/users/{id}"},
		{"/users/17/posts/2024-01-15", "/users/{id}/posts/{id}"},
		{"/f/123e4567-e89b-12d3-a456-426614174000", "/f/{uuid}"},
		{"/commit/deadbeef", "/commit/{id}"},
		{"/commit/DEADBEEF01", "/commit/{id}"},
		{"/face", "/face"},
		{"/img/4711.jpg", "/img/{id}.jpg"},
		{"/img/logo.png", "/img/logo.png"},
		{"/img/4711", "/img/{id}"},
		{"/v1/items", "/v1/items"},
		{"/t/aGVsbG8gd29ybGQgaGVsbG8gMQ", "/t/{id}"},
		{"/a//b", "/a//b"},
		{"*", "*"},
		{"", "{other}"},
		{"nonsense", "{other}"},
	};
	struct route_names *names = names_with(0);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CHECK_STR(route_of(names, "web", cases[i].path), cases[i].route);
	route_names_free(names);
}

CHECK_TEST(test_cap_sends_further_routes_to_other_and_counts_them)
{
	struct route_names *names = names_with(3);
	uint64_t asked, other;

	CHECK_STR(route_of(names, "web", "/a"), "/a");
	CHECK_STR(route_of(names, "web", "/b"), "/b");
	CHECK_STR(route_of(names, "web", "/c"), "/c");
	CHECK_STR(route_of(names, "web", "/d"), "{other}");
	CHECK_STR(route_of(names, "web", "/d/e"), "{other}");
	CHECK_STR(route_of(names, "web", "/a"), "/a");
	CHECK_STR(route_of(names, "api", "/d"), "/d");
	CHECK_EQ_U64(route_names_services(names), 2);
	CHECK_STR(route_names_share(names, 0, &asked, &other), "web");
	CHECK_EQ_U64(asked, 6);
	CHECK_EQ_U64(other, 2);
	route_names_free(names);
}

CHECK_TEST(test_place_with_many_segments_gets_a_name_for_the_rest)
{
	struct route_names *names = names_with(1000);
	char path[64];

	for (unsigned i = 0; i < ROUTE_CHILDREN_MAX; i++) {
		snprintf(path, sizeof(path), "/users/%c%cx/posts", 'g' + i / 16, 'g' + i % 16);
		CHECK_STR(route_of(names, "web", path), path);
	}
	CHECK_STR(route_of(names, "web", "/users/zoe/posts"), "/users/{name}/posts");
	CHECK_STR(route_of(names, "web", "/users/yan/posts"), "/users/{name}/posts");
	CHECK_STR(route_of(names, "web", "/users/ggx/posts"), "/users/ggx/posts");
	route_names_free(names);
}

CHECK_TEST(test_not_found_names_no_new_route)
{
	struct route_names *names = names_with(0);
	char route[SERIES_ROUTE_MAX + 1];

	route_name_of(names, "web", "/wp-login.php", false, route);
	CHECK_STR(route, "{other}");
	CHECK_STR(route_of(names, "web", "/item"), "/item");
	route_name_of(names, "web", "/item", false, route);
	CHECK_STR(route, "/item");
	route_names_free(names);
}

CHECK_TEST(test_deep_and_long_paths_stay_bounded)
{
	struct route_names *names = names_with(0);
	char path[SERIES_ROUTE_MAX + 40];

	CHECK_STR(route_of(names, "web", "/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a"),
		  "/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/{rest}");
	memset(path, 'y', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	CHECK_LE_U64(strlen(route_of(names, "web", path)), SERIES_ROUTE_MAX);
	route_names_free(names);
}

CHECK_MAIN("route_name", test_templates_come_first, test_numbers_and_ids_are_one_route,
	   test_cap_sends_further_routes_to_other_and_counts_them,
	   test_place_with_many_segments_gets_a_name_for_the_rest,
	   test_not_found_names_no_new_route, test_deep_and_long_paths_stay_bounded)
