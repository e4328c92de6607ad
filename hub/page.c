/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/page.h"

#include <string.h>

/* The bytes of a file, from the root of the source tree, between two symbols. module.mk names it. */
#define PAGE_FILE(symbol, file)                                           \
	__asm__(".pushsection .rodata\n"                                  \
		".global " #symbol "\n" #symbol ":\n"                     \
		".incbin \"" file "\"\n"                                  \
		".global " #symbol "_end\n" #symbol "_end:\n"             \
		".byte 0\n"                                               \
		".popsection\n");                                         \
	extern const char symbol[] __attribute__((visibility("hidden"))); \
	extern const char symbol##_end[] __attribute__((visibility("hidden")))

PAGE_FILE(page_index, "hub/web/index.html");
PAGE_FILE(page_style, "hub/web/style.css");
PAGE_FILE(page_app, "hub/web/app.js");
PAGE_FILE(page_charts, "hub/web/charts.js");
PAGE_FILE(page_format, "hub/web/format.js");
PAGE_FILE(page_tables, "hub/web/tables.js");
PAGE_FILE(page_icon, "hub/web/icon.svg");
PAGE_FILE(page_uplot, "hub/web/vendor/uplot/uPlot.iife.min.js");
PAGE_FILE(page_uplot_style, "hub/web/vendor/uplot/uPlot.min.css");

static const struct {
	const char *path, *type, *begin, *end;
} page_files[] = {
	{"/", "text/html; charset=utf-8", page_index, page_index_end},
	{"/style.css", "text/css; charset=utf-8", page_style, page_style_end},
	{"/app.js", "text/javascript; charset=utf-8", page_app, page_app_end},
	{"/charts.js", "text/javascript; charset=utf-8", page_charts, page_charts_end},
	{"/format.js", "text/javascript; charset=utf-8", page_format, page_format_end},
	{"/tables.js", "text/javascript; charset=utf-8", page_tables, page_tables_end},
	{"/icon.svg", "image/svg+xml", page_icon, page_icon_end},
	{"/vendor/uplot/uPlot.iife.min.js", "text/javascript; charset=utf-8", page_uplot,
	 page_uplot_end},
	{"/vendor/uplot/uPlot.min.css", "text/css; charset=utf-8", page_uplot_style,
	 page_uplot_style_end},
};

bool page_find(const char *path, struct page_file *file)
{
	for (size_t i = 0; i < sizeof(page_files) / sizeof(page_files[0]); i++) {
		if (strcmp(page_files[i].path, path) != 0)
			continue;
		if (file)
			*file = (struct page_file){
				.type = page_files[i].type,
				.bytes = page_files[i].begin,
				.size = (size_t)(page_files[i].end - page_files[i].begin),
			};
		return true;
	}
	return false;
}
