/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A page for each minute, in a ring by minute. A page that a book refers to is never changed but
 * for the marks of what is fresh, which no reader looks at: the writer goes on with a copy.
 */
#include "lib/data/exemplar.h"

#include <stdlib.h>
#include <string.h>

#define PAGES	   64u /* a power of two */
#define GROUPS_MIN 8u /* room of a new page */

_Static_assert(EXEMPLARS_MINUTES + EXEMPLARS_AHEAD + 1 <= PAGES, "a place for each minute");

struct group { /* of one series */
	series_id series;
	uint8_t count;
	uint8_t fresh; /* bit i: slowest[i] was added since the last exemplars_settle() */
	struct exemplar slowest[EXEMPLARS_KEPT]; /* the slowest first */
};

struct page {
	unsigned references; /* atomic: of the writer and of books */
	bool fresh; /* some group has something fresh; the writer's */
	uint64_t minute; /* since 1970 */
	uint32_t count, room; /* of groups */
	struct group *groups;
	uint32_t *index; /* group + 1 at the hash of its series or behind it; 2 * room places */
};

struct exemplar_book {
	unsigned references; /* atomic */
	struct page *pages[PAGES]; /* oldest first, then NULL */
};

struct exemplars {
	size_t groups_max, group_count;
	struct page *pages[PAGES]; /* by minute modulo PAGES */
	struct exemplar_book *book; /* what stands; NULL when something changed since */
};

bool exemplar_tag_set(struct exemplar *exemplar, const char *text, size_t length)
{
	size_t size = strnlen(text, length < EXEMPLAR_TAG_MAX ? length : EXEMPLAR_TAG_MAX);

	if (!size)
		return false;
	memset(exemplar->tag, 0, sizeof(exemplar->tag));
	for (size_t i = 0; i < size; i++)
		exemplar->tag[i] = text[i];
	for (size_t i = 0; i < size; i++)
		if (text[i] <= ' ' || text[i] > '~')
			exemplar->tag[i] = '?';
	return true;
}

/* ---- pages ------------------------------------------------------------------------------------- */

static void page_unref(struct page *page)
{
	/* Release and acquire pair among the unrefs: the last one frees after all others' reads. */
	if (!page || __atomic_fetch_sub(&page->references, 1, __ATOMIC_ACQ_REL) != 1)
		return;
	free(page->groups);
	free(page->index);
	free(page);
}

static bool page_shared(const struct page *page)
{
	/* Only the writer makes references; partner of a 1: the release of the last book's unref. */
	return __atomic_load_n(&page->references, __ATOMIC_ACQUIRE) > 1;
}

/* The place of the series in the index: its group's, or the empty one where that would be. */
static uint32_t page_place(const struct page *page, series_id series)
{
	const uint32_t mask = 2 * page->room - 1;
	uint32_t at = (series * UINT32_C(0x9e3779b1)) >> 7 & mask;

	while (page->index[at] && page->groups[page->index[at] - 1].series != series)
		at = (at + 1) & mask;
	return at;
}

static struct group *page_find(const struct page *page, series_id series)
{
	uint32_t number = page->index[page_place(page, series)];

	return number ? &page->groups[number - 1] : NULL;
}

/* A page with the same groups, or none, and this room: a power of two. NULL when memory lacks. */
static struct page *page_copy(const struct page *from, uint64_t minute, uint32_t room)
{
	struct page *page = calloc(1, sizeof(*page));

	if (!page)
		return NULL;
	*page = (struct page){.references = 1, .minute = minute, .room = room};
	page->groups = malloc(room * sizeof(*page->groups));
	page->index = calloc(2 * (size_t)room, sizeof(*page->index));
	if (!page->groups || !page->index) {
		page_unref(page);
		return NULL;
	}
	if (!from)
		return page;
	memcpy(page->groups, from->groups, from->count * sizeof(*page->groups));
	page->count = from->count;
	page->fresh = from->fresh;
	for (uint32_t i = 0; i < page->count; i++)
		page->index[page_place(page, page->groups[i].series)] = i + 1;
	return page;
}

/* ---- the table --------------------------------------------------------------------------------- */

struct exemplars *exemplars_new(size_t groups_max)
{
	struct exemplars *exemplars = calloc(1, sizeof(*exemplars));

	if (exemplars)
		exemplars->groups_max = groups_max;
	return exemplars;
}

static void exemplars_changed(struct exemplars *exemplars)
{
	exemplar_book_unref(exemplars->book);
	exemplars->book = NULL;
}

static void exemplars_drop(struct exemplars *exemplars, struct page **place)
{
	exemplars_changed(exemplars);
	exemplars->group_count -= (*place)->count;
	page_unref(*place);
	*place = NULL;
}

void exemplars_free(struct exemplars *exemplars)
{
	if (!exemplars)
		return;
	exemplar_book_unref(exemplars->book);
	for (unsigned i = 0; i < PAGES; i++)
		page_unref(exemplars->pages[i]);
	free(exemplars);
}

static bool minute_kept(uint64_t minute, wall_ns now)
{
	uint64_t newest = now / NS_PER_MIN;

	return minute + EXEMPLARS_MINUTES > newest && minute <= newest + EXEMPLARS_AHEAD;
}

/* The page with the lowest minute that is lower than this one's; NULL: none is. */
static struct page **exemplars_oldest(struct exemplars *exemplars, uint64_t than)
{
	struct page **oldest = NULL;

	for (unsigned i = 0; i < PAGES; i++) {
		struct page **place = &exemplars->pages[i];

		if (*place && (*place)->minute < than &&
		    (!oldest || (*place)->minute < (*oldest)->minute))
			oldest = place;
	}
	return oldest;
}

/* Room for one more group of this minute, for which older minutes make way. */
static bool exemplars_make_room(struct exemplars *exemplars, uint64_t minute)
{
	while (exemplars->group_count >= exemplars->groups_max) {
		struct page **oldest = exemplars_oldest(exemplars, minute);

		if (!oldest)
			return false;
		exemplars_drop(exemplars, oldest);
	}
	return true;
}

/*
 * The page of the minute as the writer may change it: no book's, and with room for `more` groups.
 * NULL when memory lacks.
 */
static struct page *exemplars_page(struct exemplars *exemplars, uint64_t minute, uint32_t more)
{
	struct page **place = &exemplars->pages[minute % PAGES], *page = *place;
	uint32_t room = page ? page->room : GROUPS_MIN;

	if (page && page->count + more > room)
		room *= 2;
	exemplars_changed(exemplars);
	if (page && room == page->room && !page_shared(page))
		return page;
	page = page_copy(page, minute, room);
	if (!page)
		return NULL;
	page_unref(*place);
	*place = page;
	return page;
}

/* Where among the slowest of its group it belongs; EXEMPLARS_KEPT: nowhere. */
static unsigned group_rank(const struct group *group, const struct exemplar *exemplar)
{
	unsigned rank = EXEMPLARS_KEPT;

	for (unsigned i = group->count; i-- > 0;) {
		const struct exemplar *other = &group->slowest[i];

		if (other->latency_ns == exemplar->latency_ns &&
		    other->status == exemplar->status && !strcmp(other->tag, exemplar->tag))
			return EXEMPLARS_KEPT;
		if (other->latency_ns < exemplar->latency_ns)
			rank = i;
	}
	return rank == EXEMPLARS_KEPT ? group->count : rank;
}

static void group_insert(struct group *group, unsigned rank, const struct exemplar *exemplar)
{
	unsigned below = group->fresh & ((1u << rank) - 1), above = group->fresh & ~below;

	if (group->count < EXEMPLARS_KEPT)
		group->count++;
	memmove(&group->slowest[rank + 1], &group->slowest[rank],
		(group->count - 1u - rank) * sizeof(*exemplar));
	group->slowest[rank] = *exemplar;
	group->fresh = (uint8_t)((below | 1u << rank | above << 1) & ((1u << EXEMPLARS_KEPT) - 1));
}

bool exemplars_add(struct exemplars *exemplars, series_id series, const struct exemplar *exemplar,
		   wall_ns now)
{
	const uint64_t minute = exemplar->at / NS_PER_MIN;
	struct page **place = &exemplars->pages[minute % PAGES], *page;
	struct group *group;
	unsigned rank = 0;

	if (!minute_kept(minute, now))
		return false;
	/* Of another minute: out of those that are kept, since these have a place each. */
	if (*place && (*place)->minute != minute)
		exemplars_drop(exemplars, place);
	group = *place ? page_find(*place, series) : NULL;
	if (group)
		rank = group_rank(group, exemplar);
	if (rank == EXEMPLARS_KEPT || (!group && !exemplars_make_room(exemplars, minute)))
		return false;
	page = exemplars_page(exemplars, minute, !group);
	if (!page)
		return false;
	if (!group) {
		page->index[page_place(page, series)] = page->count + 1;
		page->groups[page->count++] = (struct group){.series = series};
		exemplars->group_count++;
	}
	group_insert(page_find(page, series), rank, exemplar);
	page->fresh = true;
	return true;
}

/* ---- walking ----------------------------------------------------------------------------------- */

static int group_fresh(const struct group *group, exemplar_fn fn, void *arg)
{
	int rc = 0;

	for (unsigned i = 0; i < group->count && !rc; i++)
		if (group->fresh & 1u << i)
			rc = fn(arg, group->series, &group->slowest[i]);
	return rc;
}

int exemplars_fresh(const struct exemplars *exemplars, exemplar_fn fn, void *arg)
{
	int rc = 0;

	for (unsigned i = 0; i < PAGES; i++) {
		const struct page *page = exemplars->pages[i];

		for (uint32_t k = 0; page && page->fresh && k < page->count && !rc; k++)
			rc = group_fresh(&page->groups[k], fn, arg);
	}
	return rc;
}

void exemplars_settle(struct exemplars *exemplars)
{
	for (unsigned i = 0; i < PAGES; i++) {
		struct page *page = exemplars->pages[i];

		for (uint32_t k = 0; page && page->fresh && k < page->count; k++)
			page->groups[k].fresh = 0;
		if (page)
			page->fresh = false;
	}
}

/* ---- books ------------------------------------------------------------------------------------- */

static int page_order(const void *left, const void *right)
{
	const struct page *a = *(struct page *const *)left, *b = *(struct page *const *)right;

	return (a->minute > b->minute) - (a->minute < b->minute);
}

static struct exemplar_book *book_new(const struct exemplars *exemplars)
{
	struct exemplar_book *book = calloc(1, sizeof(*book));
	unsigned count = 0;

	if (!book)
		return NULL;
	book->references = 1;
	for (unsigned i = 0; i < PAGES; i++) {
		struct page *page = exemplars->pages[i];

		if (!page)
			continue;
		__atomic_fetch_add(&page->references, 1, __ATOMIC_RELAXED);
		book->pages[count++] = page;
	}
	qsort(book->pages, count, sizeof(struct page *), page_order);
	return book;
}

struct exemplar_book *exemplars_publish(struct exemplars *exemplars, wall_ns now)
{
	for (unsigned i = 0; i < PAGES; i++) {
		struct page **place = &exemplars->pages[i];

		if (*place && !minute_kept((*place)->minute, now))
			exemplars_drop(exemplars, place);
	}
	if (!exemplars->book)
		exemplars->book = book_new(exemplars);
	return exemplars->book ? exemplar_book_ref(exemplars->book) : NULL;
}

struct exemplar_book *exemplar_book_ref(struct exemplar_book *book)
{
	/* Whoever hands out the pointer holds a reference: nothing to order against. */
	__atomic_fetch_add(&book->references, 1, __ATOMIC_RELAXED);
	return book;
}

void exemplar_book_unref(struct exemplar_book *book)
{
	/* As in page_unref(). */
	if (!book || __atomic_fetch_sub(&book->references, 1, __ATOMIC_ACQ_REL) != 1)
		return;
	for (unsigned i = 0; i < PAGES; i++)
		page_unref(book->pages[i]);
	free(book);
}

static int group_each(const struct group *group, wall_ns from, wall_ns to, exemplar_fn fn,
		      void *arg)
{
	int rc = 0;

	for (unsigned i = 0; i < group->count && !rc; i++) {
		const struct exemplar *exemplar = &group->slowest[i];

		if (exemplar->at > from && exemplar->at <= to)
			rc = fn(arg, group->series, exemplar);
	}
	return rc;
}

int exemplar_book_each(const struct exemplar_book *book, wall_ns from, wall_ns to, exemplar_fn fn,
		       void *arg)
{
	int rc = 0;

	for (unsigned i = 0; i < PAGES && book->pages[i] && !rc; i++) {
		const struct page *page = book->pages[i];

		if ((page->minute + 1) * NS_PER_MIN <= from)
			continue;
		for (uint32_t k = 0; k < page->count && !rc; k++)
			rc = group_each(&page->groups[k], from, to, fn, arg);
	}
	return rc;
}
