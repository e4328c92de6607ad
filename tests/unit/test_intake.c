/* SPDX-License-Identifier: Apache-2.0 */
/* What a record of an agent holds besides counts: taken as far as it makes sense. */
#include <errno.h>
#include <string.h>

#include "hub/intake.h"
#include "proto/tick.h"
#include "tests/unit/check.h"

static struct series_table *table;
static struct intake_names names;
static struct tick_writer *writer;

static void scene_begin(void)
{
	table = series_table_new(&(struct series_table_options){0});
	writer = tick_writer_new();
	CHECK(table && writer);
	/* So that the fleet's number is not the agent's. */
	CHECK(series_get(table, &(struct series_key){.service = "other"}));
	tick_begin(writer, 1700000000 * NS_PER_S, NS_PER_S);
	CHECK_OK(tick_add_series(writer, 7, &(struct series_key){.service = "shop"}));
}

static int scene_read(struct intake *intake)
{
	const struct intake_context context = {.table = table, .names = &names, .host = "web1"};
	const uint8_t *bytes;
	size_t size;
	struct diag d;

	CHECK_OK(tick_end(writer, &bytes, &size));
	return intake_read(&context, bytes, size, intake, &d);
}

static void scene_end(void)
{
	intake_names_deinit(&names);
	tick_writer_free(writer);
	series_table_free(table);
}

CHECK_TEST(test_exemplars_belong_to_the_series_of_their_host_and_strange_ones_are_left_out)
{
	const struct exemplar exemplar = {.at = 5, .latency_ns = 6, .status = 7, .tag = "trace"};
	struct intake intake;

	scene_begin();
	CHECK_OK(tick_add_exemplar(writer, 7, &exemplar));
	CHECK_OK(tick_add_exemplar(writer, 8, &exemplar));
	CHECK_OK(tick_add_exemplar(writer, UINT32_MAX, &exemplar));
	CHECK_OK(scene_read(&intake));
	CHECK_EQ_U64(intake.exemplar_count, 1);
	const struct series *s = series_at(table, intake.exemplars[0].series);
	CHECK_STR(series_key_of(s)->service, "shop");
	CHECK_STR(series_key_of(s)->host, "web1");
	CHECK_STR(intake.exemplars[0].exemplar.tag, "trace");
	CHECK_EQ_U64(intake.exemplars[0].exemplar.latency_ns, 6);
	intake_deinit(&intake);
	scene_end();
}

CHECK_TEST(test_more_exemplars_than_an_agent_has_do_not_refuse_its_record)
{
	struct exemplar exemplar = {.tag = "t"};
	struct intake intake;

	scene_begin();
	for (unsigned i = 0; i < 20000; i++)
		CHECK_OK(tick_add_exemplar(writer, 7, &exemplar));
	CHECK_OK(scene_read(&intake));
	CHECK_EQ_U64(intake.exemplar_count, 16384);
	intake_deinit(&intake);
	scene_end();
}

CHECK_MAIN("intake",
	   test_exemplars_belong_to_the_series_of_their_host_and_strange_ones_are_left_out,
	   test_more_exemplars_than_an_agent_has_do_not_refuse_its_record)
