/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to the control socket, and answers from it, as either side may get them. */
#include "tests/fuzz/fuzz.h"
#include "view/view.h"

#define FUZZ_WALL (UINT64_C(1795315200) * NS_PER_S)

static struct series_table *table;
static struct board *board;

static void make_table(void)
{
	static const char *const routes[] = {"/pay", "/book", "/{id}"};

	table = series_table_new(&(struct series_table_options){0});
	for (unsigned i = 0; i < 9; i++) {
		struct series_key key = {.service = "shop",
					 .kind = (uint8_t)(i % SERIES_KINDS),
					 .status_class = (uint8_t)(i % CLASS_COUNT)};

		snprintf(key.route, sizeof(key.route), "%s", routes[i % 3]);
		series_record(series_get(table, &key), 1000 * i, i % 2 ? i : SERIES_NO_QUEUE);
	}
	series_tick(table, NS_PER_S, NULL, NULL);
	board = board_new();
	board->at = FUZZ_WALL;
	series_reader_register();
}

/* Whatever was asked, the answer is one that the other side understands. */
static void ask(const uint8_t *bytes, size_t size)
{
	struct view_query query;
	struct diag d = {0};
	uint8_t *answer;
	size_t answer_size;
	struct view *view;

	FUZZ_CHECK(view_answer(table, board, "web1", FUZZ_WALL, bytes, size, &answer,
			       &answer_size) == 0);
	int rc = view_decode(answer, answer_size, &view, &d);
	FUZZ_CHECK(rc == 0 || rc == 1);
	/* An order is understood, and refused by who only shows. */
	bool understood = view_query_decode(bytes, size, &query, NULL) == 0;
	FUZZ_CHECK((understood && !query.trace.service[0]) == (rc == 0));
	if (rc == 0)
		view_free(view);
	free(answer);
}

static void read_answer(const uint8_t *bytes, size_t size)
{
	uint8_t *again;
	size_t again_size;
	struct view *view, *twin;
	struct diag d = {0};

	if (view_decode(bytes, size, &view, &d) != 0)
		return;
	char *text = view_json(view, false);
	FUZZ_CHECK(text);
	free(text);
	if (view_encode(view, &again, &again_size) == 0) {
		FUZZ_CHECK(view_decode(again, again_size, &twin, &d) == 0);
		FUZZ_CHECK(twin->route_count == view->route_count &&
			   twin->delivery_count == view->delivery_count);
		view_free(twin);
		free(again);
	}
	view_free(view);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	if (!table)
		make_table();
	ask(bytes, size);
	read_answer(bytes, size);
	return 0;
}
