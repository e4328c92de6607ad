/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/image.h"

#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* Present, and of a file: what was written to belongs to none. */
#define PAGE_AS_IN_FILE (UINT64_C(5) << 61)

struct image_trim {
	int pagemap; /* a word for each page of this process */
	size_t page_bytes;
	size_t given_bytes;
};

static bool page_is_as_in_file(const struct image_trim *trim, uintptr_t page)
{
	uint64_t word;
	off_t at = (off_t)(page / trim->page_bytes * sizeof(word));

	return pread(trim->pagemap, &word, sizeof(word), at) == sizeof(word) &&
	       (word & PAGE_AS_IN_FILE) == PAGE_AS_IN_FILE;
}

static int image_trim_file(struct dl_phdr_info *file, size_t size, void *arg)
{
	struct image_trim *trim = arg;

	(void)size;
	for (unsigned i = 0; i < file->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &file->dlpi_phdr[i];
		uintptr_t page = (file->dlpi_addr + segment->p_vaddr) & -trim->page_bytes;
		uintptr_t end = file->dlpi_addr + segment->p_vaddr + segment->p_memsz;

		/* Others may write to their data at any time. */
		if (segment->p_type != PT_LOAD || segment->p_flags & PF_W)
			continue;
		for (; page < end; page += trim->page_bytes)
			if (page_is_as_in_file(trim, page) &&
			    !madvise((void *)page, trim->page_bytes, MADV_DONTNEED))
				trim->given_bytes += trim->page_bytes;
	}
	return 0;
}

size_t image_trim(void)
{
	struct image_trim trim = {.page_bytes = (size_t)sysconf(_SC_PAGESIZE)};

	trim.pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (trim.pagemap < 0)
		return 0;
	dl_iterate_phdr(image_trim_file, &trim);
	close(trim.pagemap);
	return trim.given_bytes;
}
