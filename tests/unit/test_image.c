/* SPDX-License-Identifier: Apache-2.0 */
/* What a program gives back of its own image, and what it keeps. */
#include <sys/mman.h>
#include <sys/resource.h>

#include "lib/base/image.h"
#include "tests/unit/check.h"

/* More than one fault brings, which is 16 pages and at times 128. */
enum { PAGE = 4096, PAGES = 256 };

static const char constants[PAGES][PAGE]
	__attribute__((aligned(PAGE))) = {[0] = "first", [PAGES - 1] = "last"};

/* The compiler must not know what is in it. */
static const char *text_of(unsigned page)
{
	const char *text = constants[page];

	__asm__ volatile("" : "+r"(text));
	return text;
}

/* Faults of a look at each page. */
static uint64_t faults_of_reading(void)
{
	struct rusage before, after;
	unsigned sum = 0;

	getrusage(RUSAGE_SELF, &before);
	for (unsigned i = 0; i < PAGES; i++)
		sum += (unsigned)*(const volatile char *)text_of(i);
	getrusage(RUSAGE_SELF, &after);
	CHECK_EQ_U64(sum, 'f' + 'l');
	return (uint64_t)(after.ru_minflt - before.ru_minflt);
}

CHECK_TEST(test_constants_are_given_back_and_come_again)
{
	faults_of_reading();
	CHECK_EQ_U64(faults_of_reading(), 0);
	CHECK_GE_U64(image_trim(), PAGES * PAGE);
	CHECK_GE_U64(faults_of_reading(), 1);
	CHECK_STR(text_of(0), "first");
}

/* As a debugger or a uprobe sets a breakpoint: a private copy of the page. */
CHECK_TEST(test_page_with_a_breakpoint_is_kept)
{
	char *page = (char *)(uintptr_t)constants[PAGES - 1];

	CHECK_OK(mprotect(page, PAGE, PROT_READ | PROT_WRITE));
	page[0] = 'L';
	CHECK_OK(mprotect(page, PAGE, PROT_READ));
	image_trim();
	CHECK_STR(text_of(PAGES - 1), "Last");
}

CHECK_MAIN("image", test_constants_are_given_back_and_come_again,
	   test_page_with_a_breakpoint_is_kept)
